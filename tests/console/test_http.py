import http.client
import logging
import re
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from websockets.sync.client import connect

import sharpline.console.server
from console.moving_feed import MovingFeed, Settings
from patience import PATIENCE, eventually
from sharpline.console.assets import assets
from sharpline.console.security import COOKIE, Gate, is_loopback
from sharpline.console.server import Server
from sharpline.errors import UsageError

TOKEN = "a token that nobody guesses"


@pytest.fixture
def guarded(feed, monkeypatch):
    monkeypatch.setenv("LINE_TOKEN", TOKEN)
    with Server(feed, Settings(token_env="LINE_TOKEN")) as server:
        yield server


def logged_in(server):
    session = requests.Session()
    answer = session.post(f"{server.url}login", data={"token": TOKEN}, headers={"Origin": server.url.rstrip("/")})
    assert answer.status_code == 200
    return session


def raw(server, request: bytes, wait: float = PATIENCE) -> bytes:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=wait) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_the_page_and_its_files_are_served_with_strict_headers(server):
    for path in ("", *(f"static/{name}" for name in assets())):
        answer = requests.get(server.url + path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_script():
    import re

    for name, asset in assets().items():
        text = asset.content.decode()
        places = set(re.findall(r"https?://[^\s\"'`)]*", text)) - {"http://www.w3.org/2000/svg"}
        assert not places, name
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", text), name
        if name.endswith(".js"):
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write", text), name


def test_unchanged_files_are_not_sent_again(server):
    first = requests.get(f"{server.url}static/main.js")
    again = requests.get(f"{server.url}static/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static/%2fetc%2fpasswd",
        "/static//etc/passwd", "/static/", "/static", "/etc/passwd", "//etc/passwd", "/static/__init__.py",
        "/static/..\\server.py", "/docs", "/openapi.json", "/static/page.css%00", "/pair?socket=../../etc/passwd",
        "/pair", "/%", "/\xff",
    ],
)  # fmt: skip
def test_no_path_reaches_the_disk(server, path):
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert answer.split(b" ", 2)[1] in (b"404", b"422", b"400")
    assert b"root:" not in answer
    assert b"import" not in answer


@pytest.mark.parametrize("path", ["", "static/main.js", "metrics", "session", "pair?socket=x", "nothing"])
@pytest.mark.parametrize("headers", [{}, {"Cookie": f"{COOKIE}=1.2"}, {"Cookie": f"{COOKIE}=99999999999."},
                                     {"Authorization": "Bearer wrong"}, {"Cookie": f"{COOKIE}={TOKEN}"},
                                     {"Cookie": "=;;\x80\"="}])  # fmt: skip
def test_without_the_token_nothing_is_shown(guarded, path, headers):
    answer = requests.get(guarded.url + path, headers=headers)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert path or "Token of this line" in answer.text


def test_the_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_do_not_get(guarded):
    origin = {"Origin": guarded.url.rstrip("/")}
    wrong = requests.post(f"{guarded.url}login", data={"token": TOKEN + "x"}, headers=origin)
    assert (wrong.status_code, wrong.headers.get("set-cookie")) == (401, None)
    answer = requests.post(f"{guarded.url}login", data={"token": TOKEN}, headers=origin, allow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert logged_in(guarded).get(guarded.url).status_code == 200
    assert logged_in(guarded).get(f"{guarded.url}session").status_code == 204


def test_programs_give_the_token_itself(guarded):
    answer = requests.get(f"{guarded.url}metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "sharpline_frames_total 3" in answer.text


def test_a_cookie_outlives_the_server_but_not_its_time_or_the_token(monkeypatch):
    gate = Gate(TOKEN, loopback=True, secure=False)
    cookie = gate.cookie().split(";")[0]
    assert Gate(TOKEN, loopback=True, secure=False).admits({"cookie": cookie})
    assert not Gate("another token entirely", loopback=True, secure=False).admits({"cookie": cookie})
    until, signature = cookie.removeprefix(f"{COOKIE}=").split(".")
    assert not gate.admits({"cookie": f"{COOKIE}={int(until) + 1}.{signature}"})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 24 * 3600)
    assert not gate.admits({"cookie": cookie})


def test_a_cookie_of_a_page_with_tls_goes_over_tls_only():
    assert "; Secure" in Gate(TOKEN, loopback=False, secure=True).cookie()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1", "10.0.0.1"]
)
def test_on_loopback_no_other_name_is_answered(server, host):
    answer = requests.get(f"{server.url}healthz", headers={"Host": host})
    assert answer.status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8080", "LOCALHOST:1"])
def test_names_of_loopback_are_answered_whatever_the_port_of_a_tunnel(server, host):
    assert requests.get(f"{server.url}session", headers={"Host": host}).status_code == 204


def test_other_sites_may_not_post(guarded):
    for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        answer = requests.post(f"{guarded.url}login", data={"token": TOKEN}, headers=origin)
        assert answer.status_code == 403


def test_requests_are_short(guarded):
    place, origin = urlsplit(guarded.url), {"Origin": guarded.url.rstrip("/")}
    assert requests.post(f"{guarded.url}login", data=b"x" * 5000, headers=origin).status_code == 413
    assert requests.post(f"{guarded.url}login", data=iter([b"x"] * 9), headers=origin).status_code == 413
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    connection.request("GET", "/" + "x" * 3000)
    assert connection.getresponse().status == 414


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 999, b"GET\r\n\r\n", b"A" * 80000])
def test_junk_is_refused_and_the_server_goes_on(server, junk):
    try:
        answer = raw(server, junk, wait=PATIENCE)
    except ConnectionResetError:
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert requests.get(server.url).status_code == 200


@pytest.mark.slow
def test_who_connects_and_says_nothing_is_sent_away(server):
    said = (b"", b"GET / HTTP/1.1\r\nHost: local", b"\xff\xfe\r\n" * 50)
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(lambda request: _answer_or_reset(server, request), said)) == [b""] * 3
    assert requests.get(server.url).status_code == 200


def _answer_or_reset(server, request: bytes) -> bytes:
    try:
        return raw(server, request, wait=PATIENCE)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.8.9.1", True), ("LocalHost", True), ("::", False), ("192.168.0.9", False), ("", False)]
)
def test_what_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_other_addresses_need_a_token(feed, monkeypatch):
    open_settings = Settings(host="0.0.0.0")
    with pytest.raises(UsageError, match="token_env"):
        Server(feed, open_settings)
    with pytest.raises(UsageError, match="LINE_TOKEN has to hold"):
        Server(feed, replace(open_settings, token_env="LINE_TOKEN"))
    monkeypatch.setenv("LINE_TOKEN", "short")
    with pytest.raises(UsageError, match="16 characters"):
        Server(feed, replace(open_settings, token_env="LINE_TOKEN"))
    monkeypatch.setenv("LINE_TOKEN", TOKEN)
    with Server(feed, replace(open_settings, token_env="LINE_TOKEN")) as server:
        port = urlsplit(server.url).port
        answer = requests.get(f"http://127.0.0.1:{port}/", headers={"Host": "line-pc.factory:80"})
        assert answer.status_code == 401


def test_a_port_that_is_taken_is_said_in_one_line(server, feed):
    with pytest.raises(UsageError, match=r"cannot be served on 127\.0\.0\.1, port \d+ \(Address already in use\)"):
        Server(feed, Settings(port=urlsplit(server.url).port))
    with pytest.raises(UsageError, match="cannot be served on no such host"):
        Server(feed, Settings(host="no such host", token_env=None) if is_loopback("no such host") else _named(feed))


def _named(feed) -> Settings:
    import os

    os.environ["LINE_TOKEN_NAMED"] = TOKEN
    return Settings(host="no such host", token_env="LINE_TOKEN_NAMED")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    return folder / "cert.pem", folder / "key.pem"


def test_tls_by_files(feed, certificate):
    with Server(feed, Settings(certificate=certificate[0], key=certificate[1])) as server:
        assert server.url.startswith("https://")
        assert requests.get(f"{server.url}session", verify=str(certificate[0])).status_code == 204
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(server.url.replace("https", "http"), timeout=PATIENCE)
        place = urlsplit(server.url)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection((place.hostname, place.port)) as plain, pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(plain)


def test_a_socket_with_tls_that_was_closed_is_no_trouble_later(feed, certificate, monkeypatch, caplog):
    monkeypatch.setattr(sharpline.console.server, "_SILENCE", 0.3)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with Server(feed, Settings(certificate=certificate[0], key=certificate[1])) as server:
        address = server.url.replace("https", "wss") + "socket"
        with connect(address, origin=server.url.rstrip("/"), ssl=trusting, open_timeout=PATIENCE) as browser:
            browser.recv(timeout=PATIENCE)
        time.sleep(0.6)
        assert requests.get(f"{server.url}session", verify=str(certificate[0])).status_code == 204
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_files_that_are_no_certificate_are_said_in_one_line(feed, certificate, tmp_path):
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(UsageError, match="no certificate and key"):
        Server(feed, Settings(certificate=tmp_path / "junk.pem", key=certificate[1]))
    with pytest.raises(UsageError, match="No such file"):
        Server(feed, Settings(certificate=tmp_path / "gone.pem", key=certificate[1]))
    with pytest.raises(UsageError, match="both files"):
        Server(feed, Settings(certificate=certificate[0]))


def test_healthz_says_how_the_line_stands(server, feed):
    def asked():
        answer = requests.get(f"{server.url}healthz")
        return answer.status_code, answer.json()

    assert asked() == (503, {"status": "degraded", "reasons": ["cam1 has not given a picture yet"]})
    feed.stale_after = PATIENCE
    feed.give()
    assert asked() == (200, {"status": "ok", "reasons": []})
    assert requests.head(f"{server.url}healthz").status_code == 200  # as wget --spider asks
    feed.limits = ("cam1 falls back to bicubic",)
    assert asked() == (200, {"status": "degraded", "reasons": ["cam1 falls back to bicubic"]})
    feed.states["cam1"], feed.troubles["cam1"] = "reconnecting", "connection refused"
    code, words = asked()
    assert (code, words["reasons"][0]) == (503, "cam1 is reconnecting: connection refused")
    feed.states["cam1"], feed.limits = "running", ()
    feed.stale_after = 0.1
    assert eventually(lambda: asked()[0] == 503)
    assert re.fullmatch(r"cam1: the last picture is \d+ s old", *asked()[1]["reasons"])


def test_healthz_tells_strangers_one_word(guarded):
    answer = requests.get(f"{guarded.url}healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "degraded"})


def test_a_server_stops_and_frees_its_port():
    feed = MovingFeed()
    with Server(feed, Settings()) as server:
        port = urlsplit(server.url).port
        assert requests.get(server.url).status_code == 200
    server.stop()
    with Server(feed, Settings(port=port)) as again:
        assert requests.get(again.url).status_code == 200
