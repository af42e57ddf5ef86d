# ruff: noqa: E501  # messages stand as they came
"""What mail systems send back, in their own words. `{path}` is our return path, `{who}` the member's address."""

from __future__ import annotations

from services.notifier.bounces import Hint
from shared.contracts import BounceKind

ORIGINAL = """Return-Path: <{path}>
From: London Connection <hello@london-connection.example>
To: Amara <{who}>
Subject: Somebody in Notting Hill: user unknown, mailbox full, 550 5.7.1
Message-ID: <abc@london-connection.example>

You do not need to resend this. 550 5.1.1 is only a number here.
"""


def report(
    status: str, *, sender: str = "MAILER-DAEMON@mx.example.net", prose: str = "Sorry.", subject: str = ""
) -> str:
    """A standard report (RFC 3464) with these per-recipient fields."""
    return f"""Return-Path: <>
From: Mail Delivery System <{sender}>
To: {{path}}
Subject: {subject or "Undelivered Mail Returned to Sender"}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=b"

--=b
Content-Type: text/plain; charset=us-ascii

{prose}

--=b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Tue, 24 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822; {{who}}
{status}

--=b
Content-Type: message/rfc822

{ORIGINAL}
--=b--
"""


def feedback(kind: str, *, extra: str = "", original: str = ORIGINAL) -> str:
    """A feedback-loop report (RFC 5965). It comes to the address of the loop, not to the return path."""
    return f"""Return-Path: <fbl@provider.example>
From: <fbl@provider.example>
To: bounces@london-connection.example
Subject: FW: Somebody in Notting Hill
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=b"

--=b
Content-Type: text/plain

This is an email abuse report.

--=b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider-FBL/1.0
Version: 1
{extra}
--=b
Content-Type: message/rfc822

{original}
--=b--
"""


def prose(text: str, *, subject: str, sender: str, headers: str = "", return_path: str = "<>") -> str:
    """A bounce in words only."""
    return f"""Return-Path: {return_path}
From: {sender}
To: {{path}}
Subject: {subject}
{headers}Content-Type: text/plain; charset=utf-8

{text}
"""


REDACTED = "From: London Connection <hello@london-connection.example>\nTo: [redacted]\nSubject: x\n\n."

BOUNCES: dict[str, tuple[str, BounceKind | Hint, str]] = {
    "postfix: no such user": (
        report(
            "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.example.org\n"
            "Diagnostic-Code: smtp; 550 5.1.1 <{who}>: Recipient address rejected: User\n    unknown in virtual table"
        ),
        BounceKind.ADDRESS, "5.1.1",
    ),
    "postfix: unknown, in an old server's words": (
        report("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 {who}... User unknown"),
        BounceKind.ADDRESS, "5.0.0",
    ),
    "postfix: the domain does not exist": (
        report("Action: failed\nStatus: 5.4.4\nDiagnostic-Code: X-Postfix; Host or domain name not found."),
        BounceKind.ADDRESS, "5.4.4",
    ),
    "postfix: still trying": (
        report("Action: delayed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; connect to mx: Connection timed out\n"
               "Will-Retry-Until: Sat, 28 Nov 2026 10:00:00 +0000", subject="Delayed Mail (still being retried)"),
        Hint.DELAYED, "4.4.1",
    ),
    "postfix: given up after five days": (
        report("Action: failed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; connect to mx: Connection timed out"),
        BounceKind.FAILED, "4.4.1",
    ),
    "postfix: delivered, as asked": (
        report("Action: delivered\nStatus: 2.0.0", subject="Successful Mail Delivery Report"), Hint.DELIVERED, "2.0.0",
    ),
    "sendmail: relayed to where nobody reports": (
        report("Action: relayed\nStatus: 2.1.9", subject="Return receipt"), Hint.DELIVERED, "2.1.9",
    ),
    "gmail: no such account": (
        report(
            "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; gmail-smtp-in.l.google.com.\n"
            "Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
            " 550-5.1.1 double-checking the recipient's email address for typos or\n"
            " 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser x1si123 - gsmtp",
            sender="mailer-daemon@googlemail.com", subject="Delivery Status Notification (Failure)",
        ),
        BounceKind.ADDRESS, "5.1.1",
    ),
    "gmail: inactive account": (
        report("Action: failed\nStatus: 5.2.1\nDiagnostic-Code: smtp; 550-5.2.1 The email account that you tried to\n"
               " reach is inactive."),
        BounceKind.ADDRESS, "5.2.1",
    ),
    "gmail: unauthenticated": (
        report("Action: failed\nStatus: 5.7.26\nDiagnostic-Code: smtp; 550-5.7.26 This mail has been blocked because the"
               "\n sender is unauthenticated."),
        BounceKind.POLICY, "5.7.26",
    ),
    "gmail: full": (
        report("Action: failed\nStatus: 4.2.2\nDiagnostic-Code: smtp; 452-4.2.2 The recipient's inbox is out of storage"),
        BounceKind.FAILED, "4.2.2",
    ),
    "exchange: recipient not found": (
        report(
            "Action: failed\nStatus: 5.1.10\nDiagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound;\n"
            " Recipient not found by SMTP address lookup", sender="postmaster@example.onmicrosoft.com",
            subject="Undeliverable: Somebody in Notting Hill",
        ),
        BounceKind.ADDRESS, "5.1.10",
    ),
    "exchange: access denied is no such recipient": (
        report("Action: failed\nStatus: 5.4.1\nDiagnostic-Code: smtp;550 5.4.1 Recipient address rejected: Access denied."),
        BounceKind.ADDRESS, "5.4.1",
    ),
    "exchange: blocked by an organisation's rule": (
        report("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp;550 5.7.1 TRANSPORT.RULES.RejectMessage; the message\n"
               " was rejected by organization policy"),
        BounceKind.POLICY, "5.7.1",
    ),
    "exchange: the generic status hides a policy": (
        report("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 554 5.7.1 Service unavailable; Client host\n"
               " [192.0.2.1] blocked using zen.example"),
        BounceKind.POLICY, "5.7.1",
    ),
    "exchange: full": (
        report("Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp;554 5.2.2 mailbox full;\n STOREDRV.Deliver"),
        BounceKind.FAILED, "5.2.2",
    ),
    "too big": (
        report("Action: failed\nStatus: 5.3.4\nDiagnostic-Code: smtp; 552 5.3.4 Message size exceeds fixed limit"),
        BounceKind.MESSAGE, "5.3.4",
    ),
    "exim: in prose, with a header": (
        prose(
            "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
            "delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"
            "  {who}\n    host mx.example.org [192.0.2.7]\n    SMTP error from remote mail server after RCPT TO:<{who}>:\n"
            "    550 5.1.1 No such user here\n\n------ This is a copy of the message, including all the headers. ------\n\n"
            + ORIGINAL,
            subject="Mail delivery failed: returning message to sender",
            sender="Mail Delivery System <Mailer-Daemon@mx.example.net>", headers="X-Failed-Recipients: {who}\n",
        ),
        BounceKind.ADDRESS, "5.1.1",
    ),
    "exim: unrouteable": (
        prose(
            "The following address(es) failed:\n\n  {who}\n    Unrouteable address\n\n"
            "------ This is a copy of the message, including all the headers. ------\n\n" + ORIGINAL,
            subject="Mail delivery failed: returning message to sender", sender="Mailer-Daemon@mx.example.net",
            headers="X-Failed-Recipients: {who}\n",
        ),
        BounceKind.ADDRESS, "",
    ),
    "exim: delayed": (
        prose(
            "A message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 "
            "hours on the queue.\n\n  {who}\n    Delay reason: 451 4.7.1 greylisted\n\nNo action is required on your part. "
            "Delivery attempts will continue.\n", subject="Warning: message 1x2y3z delayed 24 hours",
            sender="Mailer-Daemon@mx.example.net",
        ),
        Hint.DELAYED, "",
    ),
    "qmail": (
        prose(
            "Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your message to "
            "the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<{who}>:\n"
            "Sorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n" + ORIGINAL,
            subject="failure notice", sender="MAILER-DAEMON@mx.example.net",
        ),
        BounceKind.ADDRESS, "5.1.1",
    ),
    "qmail: given up": (
        prose(
            "Hi. This is the qmail-send program at mx.example.net.\n<{who}>:\nI'm not going to try again; this message has "
            "been in the queue too long.\n\n--- Below this line is a copy of the message.\n\n" + ORIGINAL,
            subject="failure notice", sender="MAILER-DAEMON@mx.example.net",
        ),
        BounceKind.FAILED, "",
    ),
    "an old system: over quota, without any code": (
        prose("Your message to {who} was not delivered: the user is over quota.\n\n----- Original message -----\n" + ORIGINAL,
              subject="Returned mail", sender="postmaster@mx.example.net"),
        BounceKind.FAILED, "",
    ),
    "yahoo: in prose, spam": (
        prose("Sorry, we were unable to deliver your message to the following address.\n\n<{who}>:\n"
              "554: 5.7.9 Message not accepted for policy reasons.\n\n--- Below this line is a copy of the message.\n\n" + ORIGINAL,
              subject="Failure Notice", sender="MAILER-DAEMON@yahoo.example"),
        BounceKind.POLICY, "5.7.9",
    ),
    "out of office": (
        prose("I am away until Monday. Call 550 5.1.1 if the user is unknown to you.", subject="Out of office: Somebody",
              sender="{who}", headers="Auto-Submitted: auto-replied\n", return_path="<{who}>"),
        Hint.AUTOMATIC, "",
    ),
    "out of office, an old kind": (
        prose("Away.", subject="Re: Somebody in Notting Hill", sender="{who}", headers="X-Autoreply: yes\n",
              return_path="<{who}>"),
        Hint.AUTOMATIC, "",
    ),
    "a person answers": (
        prose("Is the mailbox full? No such user here! 550 5.1.1", subject="Re: Somebody in Notting Hill",
              sender="{who}", return_path="<{who}>"),
        Hint.UNRECOGNISED, "",
    ),
    "a complaint": (feedback("abuse"), BounceKind.COMPLAINT, ""),
    "a complaint with the original redacted": (
        feedback("abuse", extra="Original-Mail-From: <{path}>\nOriginal-Rcpt-To: redacted\n", original=REDACTED),
        BounceKind.COMPLAINT, "",
    ),
    "a wish to be unsubscribed": (feedback("opt-out"), BounceKind.COMPLAINT, ""),
    "not spam after all": (feedback("not-spam"), Hint.AUTOMATIC, ""),
    "a report about authentication": (feedback("auth-failure"), Hint.UNRECOGNISED, ""),
    "a read receipt": (
        "Return-Path: <>\nFrom: {who}\nTo: {path}\nSubject: Read: Somebody\nMIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=\"=b\"\n\n--=b\n"
        "Content-Type: text/plain\n\nRead.\n--=b\nContent-Type: message/disposition-notification\n\n"
        "Final-Recipient: rfc822; {who}\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--=b--\n",
        Hint.AUTOMATIC, "",
    ),
}  # fmt: skip
"""By what it is: the message, and what it says."""
