"""Mail servers that behave and mail servers that do not, and what of our server's mails comes to them.

    mail.py FOLDER EXTERNAL_URL BINARY

starts mail servers on free ports, writes FOLDER/alertmanager.yml, prints `listening`, reads from standard input where our
server is, and prints `ok NAME` or `FAILED NAME: why` for each test, then `end COUNT`. FOLDER has certificates: `server.pem`
with its key, signed by `ca.pem`; `other-ca.pem` signed nothing here.
"""

import asyncio
import email
import email.policy
import email.utils
import json
import logging
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

# Names of files here are names of packages, too.
sys.path = [folder for folder in sys.path if not folder.endswith("suites")]
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

FOLDER, EXTERNAL_URL, BINARY = sys.argv[1:]
# Longest wait for anything that has to come.
LONG = 60
# What fails here is meant to.
logging.disable(logging.CRITICAL)
USER, PASSWORD = "barograph", "correct horse"
PREFIX = urllib.parse.urlsplit(EXTERNAL_URL).path
API = f"{PREFIX}/api/barograph/v1"


class Box:
    """A mail server's handler: what it was told, and how it is to answer."""

    def __init__(self):
        self.mails, self.tried, self.logins = [], [], []
        # Answers to the next mails and addresses; afterwards all are taken.
        self.answers, self.greylisted, self.drops, self.busy = [], set(), 0, False

    def login(self, server, session, envelope, mechanism, data):
        self.logins.append((mechanism, session.ssl is not None or server._over_ssl))
        good = isinstance(data, LoginPassword) and data.login == USER.encode() and data.password == PASSWORD.encode()
        return AuthResult(success=good)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.greylisted:
            self.greylisted.remove(address)
            return "450 4.2.0 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        content = envelope.original_content
        self.tried.append(content)
        if self.drops:
            self.drops -= 1
            server.transport.abort()
            return "451 nobody hears this"
        if self.busy:
            return "452 4.3.1 busy"
        if self.answers:
            answer = self.answers.pop(0)
            if answer:
                return answer
        self.mails.append((list(envelope.rcpt_tos), content))
        return "250 taken"

    def wait(self, count=1):
        until(f"{count} mails", lambda: len(self.mails) >= count)
        return self.mails


def until(what, condition):
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {LONG} s: {what}")


def certificate():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{FOLDER}/server.pem", f"{FOLDER}/server.key")
    return context


LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()
BOXES = {}


def serve(name, implicit=False, **options):
    """A mail server on a free port; its box is known by its name."""
    box = BOXES[name] = Box()
    options.setdefault("auth_callback", None)

    def protocol():
        wanted = {key: value for key, value in options.items() if value is not None}
        return SMTP(box, hostname="mail.example", authenticator=box.login, loop=LOOP, **wanted)

    async def listen():
        # It compares loops as it is made.
        return await LOOP.create_server(protocol, "127.0.0.1", 0, ssl=certificate() if implicit else None)

    server = asyncio.run_coroutine_threadsafe(listen(), LOOP).result(LONG)
    return server.sockets[0].getsockname()[1]


def configuration():
    tls = f"tls_config: {{ca_file: {FOLDER}/ca.pem}}"
    other = f"tls_config: {{ca_file: {FOLDER}/other-ca.pem}}"
    careless = "tls_config: {insecure_skip_verify: true}"
    login = f"auth_username: {USER}, auth_password: {PASSWORD}"
    secure = {"tls_context": certificate()}
    receivers = {
        "plain": (serve("plain"), "require_tls: false", "Bärbel <ops@x.example>, bo@x.example"),
        "starttls_plain": (serve("starttls_plain", auth_exclude_mechanism=["LOGIN"], auth_required=True, **secure), f"{tls}, {login}"),
        "starttls_login": (serve("starttls_login", auth_exclude_mechanism=["PLAIN"], auth_required=True, **secure), f"{tls}, {login}"),
        "implicit": (serve("implicit", implicit=True, auth_required=True, auth_require_tls=False), f"force_implicit_tls: true, {tls}, {login}"),
        "no_auth": (serve("no_auth"), f"require_tls: false, {login}"),
        "tls_required": (serve("tls_required"), f"{tls}"),
        "later": (serve("later"), "require_tls: false"),
        "drops": (serve("drops"), "require_tls: false"),
        "wrong": (serve("wrong", **secure), other),
        "careless": (serve("careless", **secure), careless),
        "greylisted": (serve("greylisted"), "require_tls: false", "one@x.example, two@x.example"),
        "first": (serve("first"), "require_tls: false"),
        "second": (serve("second"), "require_tls: false"),
    }
    lines = ["global: {smtp_from: 'Barograph <baro@x.example>', smtp_hello: baro.example}", "templates: []"]
    lines += ["route:", "  receiver: plain", "  group_by: [alertname]", "  group_wait: 0s", "  group_interval: 5m", "  routes:"]
    for name in receivers:
        policy = ", escalation: quick" if name == "first" else ""
        lines.append(f"  - {{receiver: {name}, matchers: ['to={name}']{policy}}}")
    lines += ["escalation_policies:", "  quick: {levels: [{delay: 1s, targets: [route]}, {targets: ['receiver:second']}]}"]
    lines.append("receivers:")
    for name, (port, keys, *to) in receivers.items():
        to = to[0] if to else "ops@x.example"
        lines.append(f"- name: {name}")
        lines.append(f"  email_configs: [{{to: '{to}', smarthost: 'localhost:{port}', send_resolved: false, {keys}}}]")
    with open(f"{FOLDER}/alertmanager.yml", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def ask(path, method="GET", document=None):
    """Status and text."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(URL + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=LONG) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def read(path):
    status, text = ask(path)
    assert status == 200, (path, status, text)
    return json.loads(text)


def fire(to, name, message="it is so", severity="warning", **annotations):
    labels = {"alertname": name, "to": to, "severity": severity, "node": "node2"}
    alert = {"labels": labels, "annotations": {"message": message, **annotations}}
    status, text = ask(f"{PREFIX}/api/v2/alerts", "POST", [alert])
    assert status == 200, text


def deliveries(**wanted):
    return read(f"{API}/deliveries?" + urllib.parse.urlencode(wanted))["deliveries"]


def delivery(receiver, **wanted):
    return until(f"a delivery to {receiver} {wanted}", lambda: deliveries(receiver=receiver, **wanted))[0]


def parsed(content):
    """A mail, with everything that is wrong with it as an error."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    for part in message.walk():
        assert not part.defects, part.defects
        for name, value in part.items():
            assert not getattr(value, "defects", ()), (name, value, value.defects)
    return message


def text_of(message, kind="plain"):
    return message.get_body((kind,)).get_content().replace("\r\n", "\n")


def a_mail_is_read_back_whole():
    dots = ".\n..\n.dot\n" + "long ü " * 800 + "\nlast"
    fire("plain", "Störung in Ünterföhring, the name of which is long enough for two lines", dots)
    to, content = BOXES["plain"].wait()[0]
    assert to == ["ops@x.example", "bo@x.example"], to
    message = parsed(content)
    assert message["subject"].startswith("[FIRING:1] Störung in Ünterföhring, the name of which is long"), message["subject"]
    assert [str(each) for each in message["from"].addresses] == ["Barograph <baro@x.example>"], message["from"]
    assert [each.display_name for each in message["to"].addresses] == ["Bärbel", ""], message["to"]
    assert [each.addr_spec for each in message["to"].addresses] == to, message["to"]
    assert abs((message["date"].datetime - datetime.now(timezone.utc)).total_seconds()) < 3600
    assert re.fullmatch(r"<[0-9a-f]{32}@x\.example>", message["message-id"]), message["message-id"]
    assert re.fullmatch(r"<[0-9a-f]{32}@x\.example>", message["references"])
    assert message.get_content_type() == "multipart/alternative"
    kinds = [(part.get_content_type(), part.get_content_charset()) for part in message.iter_parts()]
    assert kinds == [("text/plain", "utf-8"), ("text/html", "utf-8")], kinds
    assert dots in text_of(message), text_of(message)
    assert "node=node2" in text_of(message) and "long ü" in text_of(message, "html")
    lines = content.split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    assert all(byte < 128 for byte in content)


def starttls_and_plain():
    fire("starttls_plain", "A")
    BOXES["starttls_plain"].wait()
    assert BOXES["starttls_plain"].logins == [("PLAIN", True)], BOXES["starttls_plain"].logins


def starttls_and_login():
    fire("starttls_login", "A")
    BOXES["starttls_login"].wait()
    assert BOXES["starttls_login"].logins == [("LOGIN", True)], BOXES["starttls_login"].logins


def tls_from_the_beginning():
    fire("implicit", "A")
    BOXES["implicit"].wait()
    assert BOXES["implicit"].logins == [("PLAIN", True)], BOXES["implicit"].logins


def no_password_where_the_server_takes_none():
    fire("no_auth", "A")
    found = delivery("no_auth", state="dead")
    assert "neither PLAIN nor LOGIN" in found["error"], found
    assert not BOXES["no_auth"].tried and not BOXES["no_auth"].logins


def nothing_without_tls_where_it_is_required():
    fire("tls_required", "A")
    found = delivery("tls_required", state="dead")
    assert "does not offer STARTTLS" in found["error"], found
    assert not BOXES["tls_required"].tried


def refused_for_now_it_comes_again():
    BOXES["later"].answers = ["451 4.3.0 later", "421 4.3.2 going"]
    fire("later", "A")
    BOXES["later"].wait()
    tried = [parsed(content) for content in BOXES["later"].tried]
    assert len(tried) == 3, len(tried)
    assert len({each["message-id"] for each in tried}) == 1
    assert len({text_of(each) for each in tried}) == 1
    found = delivery("later", state="sent")
    assert [each["ok"] for each in found["attempts"]] == [False, False, True], found
    assert [each["status"] for each in found["attempts"]] == [451, 421, 250], found
    assert "451" in found["attempts"][0]["error"], found


def broken_off_after_data_it_comes_again():
    BOXES["drops"].drops = 1
    fire("drops", "A")
    BOXES["drops"].wait()
    first, second = [parsed(content) for content in BOXES["drops"].tried]
    assert first["message-id"] == second["message-id"]
    fire("drops", "B")
    BOXES["drops"].wait(2)
    third = parsed(BOXES["drops"].mails[1][1])
    assert third["message-id"] != first["message-id"]


def a_wrong_certificate_is_refused():
    fire("wrong", "A")
    found = delivery("wrong", state="retrying")
    assert "no TLS with localhost" in found["attempts"][0]["error"], found
    assert not BOXES["wrong"].tried and not BOXES["wrong"].logins


def unless_somebody_says_otherwise():
    fire("careless", "A")
    BOXES["careless"].wait()


def each_address_has_it_once():
    BOXES["greylisted"].greylisted = {"two@x.example"}
    fire("greylisted", "A")
    mails = BOXES["greylisted"].wait(2)
    assert [to for to, _ in mails] == [["one@x.example"], ["two@x.example"]], mails
    assert parsed(mails[0][1])["message-id"] == parsed(mails[1][1])["message-id"]
    assert delivery("greylisted", state="sent")["attempts"][0]["status"] == 450


def a_link_acknowledges():
    BOXES["second"].busy = True
    fire("first", "Down", severity="critical")
    message = parsed(BOXES["first"].wait()[0][1])
    link = re.search(r"Acknowledge: (\S+)", text_of(message)).group(1)
    assert link.startswith(f"{EXTERNAL_URL}/api/barograph/v1/ack-links/"), link
    assert link in text_of(message, "html")
    path = PREFIX + link.removeprefix(EXTERNAL_URL)
    queued = delivery("second", state="retrying")
    incident = f"{API}/incidents/{queued['incident_id']}"
    assert queued["reason"] == "escalation", queued
    for _ in range(2):
        status, page = ask(path)
        assert status == 200 and '<form method="post">' in page, (status, page)
    assert read(incident)["state"] == "open"
    status, page = ask(path, "POST")
    assert status == 200 and "first has acknowledged it" in page, (status, page)
    found = read(incident)
    assert (found["state"], found["ack"]["acknowledged_by"]) == ("acknowledged", "first"), found
    assert ask(path, "POST")[0] == 200, "once more is nothing new"
    status, page = ask(path[:-3] + "AAA", "POST")
    assert status == 404, (status, page)
    back = until("it is taken back", lambda: [each for each in deliveries(receiver="second") if each["state"] == "dead"])
    assert back[0]["id"] == queued["id"] and back[0]["error"] == "somebody has it", back
    # What comes next is all that comes.
    BOXES["second"].busy = False
    fire("second", "Next")
    to, content = BOXES["second"].wait()[0]
    assert "Next" in parsed(content)["subject"], parsed(content)["subject"]
    assert len(BOXES["second"].mails) == 1


def a_receiver_is_tried_out_from_the_command_line():
    def run(*words):
        done = subprocess.run([BINARY, "alert", "test", *words, "--url", URL + PREFIX], capture_output=True, text=True, timeout=LONG)
        return done.returncode, done.stdout + done.stderr

    before = len(BOXES["plain"].mails)
    code, said = run("plain", "--message", "hello from here")
    assert code == 0 and "email" in said and "sent" in said and "250" in said, (code, said)
    message = parsed(BOXES["plain"].wait(before + 1)[-1][1])
    assert "hello from here" in text_of(message) and message["subject"].startswith("[TEST]"), message["subject"]
    assert "ack-links" not in text_of(message)
    code, said = run("tls_required")
    assert code == 1 and "not sent" in said and "does not offer STARTTLS" in said, (code, said)
    code, said = run("nobody")
    assert code == 1 and "there is no receiver" in said, (code, said)


TESTS = [
    a_mail_is_read_back_whole,
    starttls_and_plain,
    starttls_and_login,
    tls_from_the_beginning,
    no_password_where_the_server_takes_none,
    nothing_without_tls_where_it_is_required,
    refused_for_now_it_comes_again,
    broken_off_after_data_it_comes_again,
    a_wrong_certificate_is_refused,
    unless_somebody_says_otherwise,
    each_address_has_it_once,
    a_link_acknowledges,
    a_receiver_is_tried_out_from_the_command_line,
]

configuration()
print("listening", flush=True)
URL = sys.stdin.readline().strip()
for test in TESTS:
    name = test.__name__.replace("_", " ")
    try:
        test()
        print(f"ok {name}", flush=True)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"FAILED {name}: {why}", flush=True)
print(f"end {len(TESTS)}", flush=True)
