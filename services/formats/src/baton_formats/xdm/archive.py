"""Opens a zip in memory without believing it: paths, counts, sizes, ratios and nesting are limited first."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

LOCAL_HEADER: Final = b"PK\x03\x04"
_CENTRAL_HEADER: Final = b"PK\x01\x02"
_ARCHIVES: Final = (
    ".zip",
    ".jar",
    ".7z",
    ".rar",
    ".gz",
    ".tgz",
    ".tar",
    ".xz",
    ".bz2",
    ".zst",
    ".cab",
    ".iso",
)
_OFFICE: Final = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp")
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_SMALL: Final = 64 * 1024
_LOCAL_HEADER_SIZE: Final = 30


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What one archive may hold; anything beyond it refuses the whole.

    `max_ratio` is unpacked to packed size, of members larger than 64 KiB.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_members: int = 200
    max_member_bytes: int = 16 * 1024 * 1024
    max_total_bytes: int = 48 * 1024 * 1024
    max_ratio: int = 200
    max_path: int = 240


DEFAULT_LIMITS: Final = ArchiveLimits()


class ArchiveRefused(Exception):
    """The archive is broken or built to do harm; the text says why in plain words, without any name in it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive: `place` counts from 1, `path` is as written with `/` between its parts."""

    place: int
    path: str
    content: bytes

    @property
    def name(self) -> str:
        """The last part of its path, in capitals as ISO 9660 has them."""
        return self.path.rpartition("/")[2].upper()

    @property
    def folder(self) -> str:
        """The path without the name."""
        return self.path.rpartition("/")[0]


def members(body: bytes, *, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[Member]:
    """The files of a zip in its own order, one unpacked at a time; folders are left out.

    Nothing is written anywhere. Raises `ArchiveRefused` before anything is unpacked where the directory of
    the archive breaks a limit, and at the member where a declared size turns out to be a lie.
    """
    if len(body) > limits.max_bytes:
        raise ArchiveRefused(f"the archive is larger than {limits.max_bytes} bytes")
    if body.count(_CENTRAL_HEADER) > limits.max_members:
        raise ArchiveRefused(f"the archive holds more than {limits.max_members} files")
    try:
        with zipfile.ZipFile(BytesIO(body)) as archive:
            infos = archive.infolist()
            _check(infos, limits)
            for place, info in enumerate(infos, 1):
                if not info.is_dir():
                    yield Member(place, info.filename, _unpack(archive, info))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise ArchiveRefused("the archive is damaged and cannot be unpacked") from error


def _check(infos: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    if len(infos) > limits.max_members:
        raise ArchiveRefused(f"the archive holds more than {limits.max_members} files")
    for info in infos:
        _check_path(info.filename, limits)
        _check_kind(info)
        _check_size(info, limits)
    if sum(info.file_size for info in infos) > limits.max_total_bytes:
        raise ArchiveRefused(
            f"the files in the archive are larger than {limits.max_total_bytes} bytes together"
        )
    if len({info.filename.upper() for info in infos}) < len(infos):
        raise ArchiveRefused("two files in the archive have the same name")
    _check_overlap(infos)


def _check_path(path: str, limits: ArchiveLimits) -> None:
    parts = path.split("/")
    wicked = path.startswith("/") or ".." in parts or "\\" in path or ":" in path or not path.isprintable()
    if wicked or not path or len(path) > limits.max_path:
        raise ArchiveRefused("a file in the archive has a path that leads out of it")


def _check_kind(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
        raise ArchiveRefused("the archive holds a link or a special file")
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveRefused("a file in the archive is encrypted")
    if info.compress_type not in _METHODS:
        raise ArchiveRefused("a file in the archive is packed by a method that is not read")
    if info.filename.lower().endswith(_ARCHIVES):
        raise ArchiveRefused("the archive holds another archive")


def _check_size(info: zipfile.ZipInfo, limits: ArchiveLimits) -> None:
    if info.file_size > limits.max_member_bytes:
        raise ArchiveRefused(f"a file in the archive is larger than {limits.max_member_bytes} bytes")
    if info.file_size > _SMALL and info.file_size > limits.max_ratio * max(info.compress_size, 1):
        raise ArchiveRefused(f"a file in the archive grows more than {limits.max_ratio} times when unpacked")


def _check_overlap(infos: list[zipfile.ZipInfo]) -> None:
    """Files that share their bytes make a bomb with harmless ratios (Fifield, A better zip bomb, 2019)."""
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < end:
            raise ArchiveRefused("files in the archive overlap")
        end = info.header_offset + _LOCAL_HEADER_SIZE + info.compress_size


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as packed:
        content = packed.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ArchiveRefused("a file in the archive is not as large as the archive says")
    if content.startswith(LOCAL_HEADER) and not info.filename.lower().endswith(_OFFICE):
        raise ArchiveRefused("the archive holds another archive")
    return content
