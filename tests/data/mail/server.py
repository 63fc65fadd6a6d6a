"""A mail server on loopback that keeps what it gets: aiosmtpd with STARTTLS and AUTH.

    server.py DIRECTORY [starttls] [tls] [auth] [login] [parrot]

Writes its port to DIRECTORY/port and each mail, as Python's own parser understands it, as a line of JSON to
DIRECTORY/mails; what it is told goes to DIRECTORY/said. With starttls or tls it needs DIRECTORY/server.pem and
server.key; with auth it knows the user 'supd' and the password in DIRECTORY/password, with login it takes
them only one after the other. Recipients decide what it answers:
nobody@ 550, full@ 552, later@ 452, once@ 452 the first time; quota@ 552 after the text, slow@ nothing at all.
"""

import asyncio
import email
import email.policy
import functools
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

directory, words = sys.argv[1], sys.argv[2:]


def path(name):
    return os.path.join(directory, name)


def append(name, text):
    with open(path(name), "a") as file:
        file.write(text + "\n")


class Handler:
    tried = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        user = address.split("@")[0]
        if user == "nobody":
            return "550 5.1.1 no such user"
        if user == "full":
            return "552 5.2.2 mailbox full"
        if user == "later" or (user == "once" and address not in self.tried):
            self.tried.add(address)
            return "452 4.2.2 mailbox full, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(to.startswith("quota@") for to in envelope.rcpt_tos):
            return "552 5.2.2 over quota"
        if any(to.startswith("slow@") for to in envelope.rcpt_tos):
            await asyncio.sleep(3600)
        content = envelope.content.replace(b"\r\n", b"\n")
        mail = email.message_from_bytes(content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or "tls" in words,
            "user": session.auth_data,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "defects": [str(defect) for defect in mail.defects],
            "text": parts.get("text/plain"),
            "html": parts.get("text/html"),
            "parts": len(parts),
        }
        append("mails", json.dumps(kept))
        return "250 2.0.0 Ok: queued as 1A2B3C"


class Server(SMTP):
    """What it is told, it writes down, for whoever looks for what must not be there."""


def witness(command):
    method = getattr(SMTP, f"smtp_{command}")

    @functools.wraps(method)
    async def said(self, arg):
        append("said", f"{command} {arg}")
        return await method(self, arg)

    setattr(Server, f"smtp_{command}", said)


for command in ("EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"):
    witness(command)


def authenticate(server, session, envelope, mechanism, data):
    with open(path("password")) as file:
        known = (b"supd", file.read().strip().encode())
    if (data.login, data.password) == known:
        return AuthResult(success=True, auth_data=data.login.decode())
    # A parrot repeats what it was sent, as some servers do.
    given = f": {data.password.decode()}" if "parrot" in words else ""
    return AuthResult(success=False, handled=False, message=f"535 5.7.8 wrong credentials{given}")


async def main():
    context = None
    if "starttls" in words or "tls" in words:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path("server.pem"), path("server.key"))

    def protocol():
        return Server(
            Handler(),
            hostname="mail.test",
            tls_context=context if "starttls" in words else None,
            require_starttls="starttls" in words,
            authenticator=authenticate if "auth" in words else None,
            auth_required="auth" in words,
            auth_exclude_mechanism=["PLAIN"] if "login" in words else [],
            auth_require_tls="starttls" in words,
            loop=asyncio.get_running_loop(),
        )

    implicit = context if "tls" in words else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    with open(path("port.new"), "w") as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    os.rename(path("port.new"), path("port"))
    await server.serve_forever()


asyncio.run(main())
