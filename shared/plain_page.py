"""The look of the pages that engineers read: light or dark as they like it, one style, and not a script."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi.responses import HTMLResponse
from jinja2 import Environment
from markupsafe import Markup, escape

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 .25rem; font-size: 1.2rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; }
summary { cursor: pointer; padding: .25rem 0; }
p { margin: 0 0 .5rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
_CODE = re.compile(r"`([^`]+)`")
_FRAME = """<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
%s
</main>
</body>
</html>
"""


def plain_page(title: str, template: str, **values: object) -> str:
    """A page: `template` is Jinja's, and stands under the title. What is `in_code` there may hold `backticks`."""
    environment = Environment(autoescape=True)
    environment.filters["in_code"] = _in_code
    style = Markup(_STYLE)  # noqa: S704 - our own, above
    return environment.from_string(_FRAME % template).render(title=title, style=style, **values)


def plain_page_answer(page: str, *, cache_control: str = "no-store") -> HTMLResponse:
    """The answer that holds it, with the one policy under which its style is taken."""
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "Cache-Control": cache_control})


def _in_code(text: str) -> Markup:
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here
