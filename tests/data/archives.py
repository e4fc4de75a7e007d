"""Archives made member by member, broken ones too."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Dict


def make_archive(path: Path, files: Dict[str, bytes], link: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    return path
