"""Files and packages: what is served below /files/, whole or by a range."""

import hashlib
import os
import random

LARGEST_MADE = 256 * 1024 * 1024


class Files:
    def __init__(self, folder):
        self.folder = os.path.realpath(folder) if folder else None
        self.made = {}                    # path -> bytes
        self.wrong = set()                # paths that are served with other bytes than their checksum says

    def make(self, path, size, seed=0):
        self.made[path] = random.Random(f"{path} {seed}").randbytes(min(size, LARGEST_MADE))
        return self.made[path]

    def content(self, path):
        """The bytes, or None. They never leave the folder."""
        if path in self.made:
            return self.made[path]
        if self.folder is None:
            return None
        full = os.path.realpath(os.path.join(self.folder, path))
        if not full.startswith(self.folder + os.sep) or not os.path.isfile(full):
            return None
        with open(full, "rb") as file:
            return file.read()

    def served(self, path):
        content = self.content(path)
        if content and path in self.wrong:
            return bytes([content[0] ^ 0xFF]) + content[1:]
        return content

    def checksum(self, path):
        """MD5 in small hexadecimal digits, which is what the agent compares with."""
        content = self.content(path)
        return None if content is None else hashlib.md5(content).hexdigest()


def part(asked, length, like_headwind):
    """(first, past the last, Content-Range) of a range that was asked for, or None if none of it is there."""
    start, end = asked
    if start is None:
        start, end = max(0, length - end), None
        if start == length:
            return None
    if start >= length:
        return None
    if like_headwind:
        # It says and gives the end as the first byte that is not sent.
        last = length if end is None else min(end, length)
        return start, last, f"bytes {start}-{last}/{length}"
    last = length - 1 if end is None else min(end, length - 1)
    return start, last + 1, f"bytes {start}-{last}/{length}"
