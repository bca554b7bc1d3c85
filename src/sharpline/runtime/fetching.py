"""Gets an asset: whole and checked under its name, or not at all; an interrupted download goes on where it stopped."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from sharpline import __version__
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.assets import FOLDER_VARIABLE, Asset, is_whole, partial, size_of

_TIMEOUT = (10.0, 30.0)  # seconds: to connect, and without a byte
_BLOCK = 1 << 13  # bytes; an unfinished block is lost when a line breaks
_PAUSES = (1.0, 2.0, 4.0)  # seconds before each further try that follows one without progress
_ELSEWHERE = f"name another folder with --cache or {FOLDER_VARIABLE}"
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # what a server says when asking again may help

Progress = Callable[[int, int], None]


class _AddressError(Exception):
    """This address does not lead to the file; another may."""


class _TransferError(Exception):
    """The transfer broke off; the same address may go on."""


def pull_asset(
    asset: Asset, folder: Path, *, mirror: str | None = None, progress: Progress = lambda done, total: None
) -> Path:
    """Gets an asset from the network, unless it is there already.

    Safe to call from several processes: one downloads, the others wait and find it there. Proxies and
    certificates are taken from the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE).

    Args:
        asset: What to get.
        folder: Cache folder; made if needed.
        mirror: Base address (http or https) that replaces the asset's own: the file is expected
            at ``<mirror>/<asset.file>``, and nowhere else.
        progress: Called with the bytes that are there, and all.

    Returns:
        The file. Its SHA-256 is the registry's.

    Raises:
        UsageError: The folder cannot be used, or the mirror is no http(s) address.
        ModelError: No address gave the file, or the disk has no room. What did arrive is kept beside
            it as ``<file>.part`` unless it is known to be wrong.
        KeyboardInterrupt: Stopped; the next call goes on from the same ``.part``.

    Example:
        >>> pull_asset(find_asset("niqe"), cache_folder())  # doctest: +SKIP
        PosixPath('/home/me/.cache/sharpline/assets/niqe_pris_params.npz')
    """
    urls = asset.urls if mirror is None else (_on_mirror(mirror, asset),)
    path = folder / asset.file
    with _locked(folder):
        if is_whole(path, asset):
            return path
        if size_of(partial(path)) > asset.size:
            partial(path).unlink()
        _need_room(asset, path)
        failures = []
        for url in urls:
            try:
                return _pull_from(url, asset, path, progress)
            except _AddressError as error:
                failures.append(f"{_shown(url)}: {error}")
    raise ModelError(f"{asset.name} was not pulled: {'; '.join(failures)}")


def _on_mirror(mirror: str, asset: Asset) -> str:
    if urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).hostname:
        raise UsageError(f"mirror '{mirror}' is no address: write it as https://host/folder")
    return f"{mirror.rstrip('/')}/{asset.file}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: two would write the same ``.part``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be used for assets ({error.strerror}); {_ELSEWHERE}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
        yield


def _need_room(asset: Asset, path: Path) -> None:
    need = asset.size - size_of(partial(path))
    free = shutil.disk_usage(path.parent).free
    if free < need:
        raise ModelError(
            f"{path.parent}: no room for {asset.name}: {need:,} bytes needed, {free:,} free; make room, or {_ELSEWHERE}"
        )


def _pull_from(url: str, asset: Asset, path: Path, progress: Progress) -> Path:
    resumed = partial(path).exists()
    try:
        return _retrieve(url, asset, path, progress)
    except _AddressError:
        if not resumed or partial(path).exists():
            raise
    # The bytes kept from an earlier call were another file's: pooch refused the sum of both. Once more, from zero.
    return _retrieve(url, asset, path, progress)


def _retrieve(url: str, asset: Asset, path: Path, progress: Progress) -> Path:
    def download(url: str, output_file: str, _: object) -> None:
        Path(output_file).unlink()  # pooch's empty file: if we are killed, it would stay
        _fill(partial(path), asset, url, progress)
        partial(path).replace(output_file)

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, f"sha256:{asset.sha256}", fname=asset.file, path=path.parent, downloader=download)
    except ValueError as error:  # pooch's word for a wrong hash; it says what was expected and what came
        raise _AddressError(str(error)) from None
    return path


def _fill(part: Path, asset: Asset, url: str, progress: Progress) -> None:
    """Downloads until the part has the asset's size, again and again as long as that brings bytes."""
    failures, most = 0, size_of(part)
    while size_of(part) < asset.size:
        try:
            _transfer(part, asset, url, progress)
        except _TransferError as error:
            failures = 0 if size_of(part) > most else failures + 1
            most = max(most, size_of(part))
            if failures > len(_PAUSES):
                raise _AddressError(f"{error} (tried {failures} times; pull again to go on)") from None
            time.sleep(_PAUSES[max(failures - 1, 0)])


def _transfer(part: Path, asset: Asset, url: str, progress: Progress) -> None:
    """One request, for the bytes that the part has not."""
    kept = size_of(part)
    # Compressed on the way, a file would have another size, and a range of it another meaning.
    headers = {"User-Agent": f"sharpline/{__version__}", "Accept-Encoding": "identity"}
    if kept:
        headers["Range"] = f"bytes={kept}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as reply:
            done = _first_byte(reply, part, asset)
            with part.open("ab") as file:
                file.truncate(done)
                for block in reply.iter_content(_BLOCK):
                    done += len(block)
                    if done > asset.size:
                        part.unlink()
                        raise _AddressError(f"sends more than the {asset.size:,} bytes of the registry: another file")
                    file.write(block)
                    progress(done, asset.size)
                file.flush()
                os.fsync(file.fileno())
    except requests.RequestException as error:
        raise _explained(error, url) from None
    except OSError as error:
        raise ModelError(
            f"{part}: cannot be written ({error.strerror or error}); what has arrived is kept: make room "
            f"and pull again, or {_ELSEWHERE}"
        ) from None
    if done < asset.size:
        raise _TransferError("the connection ended early")


def _first_byte(reply: requests.Response, part: Path, asset: Asset) -> int:
    """Where the reply's bytes belong in the file: at the end of the part, or at 0 when the server knows no ranges."""
    status, kept = reply.status_code, size_of(part)
    if status == 206 and not reply.headers.get("Content-Range", "").startswith(f"bytes {kept}-"):
        part.unlink(missing_ok=True)
        raise _TransferError("the server gave another range than was asked for")
    if status in _TRANSIENT:
        raise _TransferError(f"the server says {status} {reply.reason}")
    if status not in (200, 206):
        raise _AddressError(f"the server says {status} {reply.reason}")
    start = kept if status == 206 else 0
    length = reply.headers.get("Content-Length", "")
    if length.isdecimal() and start + int(length) != asset.size:
        raise _AddressError(f"has {start + int(length):,} bytes, not the {asset.size:,} of the registry: another file")
    return start


def _explained(error: requests.RequestException, url: str) -> Exception:
    """The error in words, as one of ours."""
    host = urlsplit(url).hostname
    if "NameResolutionError" in repr(error):
        return _AddressError(f"no address is known for {host}; is this machine offline, or HTTPS_PROXY missing?")
    if isinstance(error, requests.exceptions.SSLError):
        return _AddressError(f"the certificate of {host} is not trusted (REQUESTS_CA_BUNDLE names further ones)")
    if isinstance(error, requests.exceptions.ProxyError):
        return _AddressError("the proxy does not answer or refuses (see HTTPS_PROXY, HTTP_PROXY, NO_PROXY)")
    if isinstance(error, requests.exceptions.Timeout):
        return _TransferError(f"{host} does not answer")
    if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return _TransferError(f"the connection to {host} failed")
    return _AddressError(f"cannot be asked for ({error})")


def _shown(url: str) -> str:
    """An address without the password that may be in it."""
    place = urlsplit(url).netloc
    return url.replace(place, place.rpartition("@")[2], 1)
