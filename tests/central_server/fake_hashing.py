"""Hashing without work, which counts what it was asked to do."""


class FakeHashing:
    """A hash is the password backwards, behind a version. `asked`: what was done, in order."""

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def hash(self, password: str) -> str:
        self._work("hash")
        return f"{self.version}:{password[::-1]}"

    async def verify(self, password: str, hashed: str) -> bool:
        self._work("verify")
        return hashed.partition(":")[2] == password[::-1]

    def is_current(self, hashed: str) -> bool:
        return hashed.startswith(self.version)

    def _work(self, what: str) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append(what)
