"""From the name of a branch, tag or commit to the full SHA of a commit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flowhold.errors import ConfigurationError, RevisionNotFoundError

__all__ = ["Named", "find_commit", "is_full"]

_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"
Ask = Callable[..., Mapping[str, str]]
Commits = Callable[[Mapping[str, str]], Iterable[str]]


@dataclass(frozen=True)
class Named:
    """What is named: at most one of a branch, a tag and a commit."""

    branch: str | None = None
    tag: str | None = None
    commit: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in (self.branch, self.tag, self.commit) if name is not None]
        if len(given) > 1:
            raise ConfigurationError(
                "only one of a branch, a tag and a commit can be named",
                hint="a commit alone is exact",
            )
        if given and (not isinstance(given[0], str) or not given[0]):
            raise ConfigurationError("the name of a branch, tag or commit is text")
        if self.commit is not None and not re.fullmatch("[0-9a-fA-F]{4,40}", self.commit):
            raise ConfigurationError(
                f"{self.commit!r} is not the SHA of a commit: 4 to 40 of 0-9 and a-f",
                hint="name branches and tags as such",
            )

    def __str__(self) -> str:
        if self.branch is not None:
            return f"branch {self.branch}"
        return f"tag {self.tag}" if self.tag is not None else f"commit {self.commit or 'HEAD'}"

    @property
    def moves(self) -> bool:
        """Whether it can be another commit tomorrow."""
        return self.commit is None


def is_full(sha: str) -> bool:
    """Whether a SHA is complete."""
    return re.fullmatch("[0-9a-f]{40}", sha) is not None


def find_commit(named: Named, ask: Ask, commits: Commits, place: str) -> str:
    """Return the full SHA of the commit that is named.

    Args:
        named: What is.
        ask: Returns SHAs by the full names of the refs that begin with one of some prefixes.
        commits: Returns the SHAs of all commits that some refs lead to; asked for a short SHA.
        place: The repository, for messages.

    Raises:
        RevisionNotFoundError: There is none of that name, or several.
    """
    if named.commit is not None:
        sha = named.commit.lower()
        return sha if is_full(sha) else _of_short(sha, ask, commits, place)
    if named.branch is not None:
        return _of_ref(_HEADS, named.branch, "branch", ask, place)
    if named.tag is not None:
        return _of_ref(_TAGS, named.tag, "tag", ask, place)
    if sha := ask("HEAD").get("HEAD", ""):
        return sha
    branches = sorted(name.removeprefix(_HEADS) for name in ask(_HEADS))
    raise RevisionNotFoundError(
        f"{place} has no default branch",
        storage="git",
        location=place,
        hint=f"name a branch: {', '.join(branches[:10])}" if branches else "it is empty",
    )


def _of_ref(prefix: str, name: str, kind: str, ask: Ask, place: str) -> str:
    full = prefix + name
    refs = ask(full)
    if sha := refs.get(full + _PEELED) or refs.get(full):
        return sha
    there = sorted({ref.removeprefix(prefix).removesuffix(_PEELED) for ref in ask(prefix)})
    other = _TAGS if prefix == _HEADS else _HEADS
    kinds = {_HEADS: "branch", _TAGS: "tag"}
    near = difflib.get_close_matches(name, there, n=3) or there[:10]
    listed = f"there are: {', '.join(near)}" if near else f"there is no {kind} at all"
    is_other = (other + name) in ask(other + name)
    raise RevisionNotFoundError(
        f"{place} has no {kind} {name!r}",
        storage="git",
        location=place,
        hint=f"it is a {kinds[other]}: name it as such" if is_other else listed,
    )


def _of_short(sha: str, ask: Ask, commits: Commits, place: str) -> str:
    refs = ask("HEAD", _HEADS, _TAGS)
    objects = {ref for name, ref in refs.items() if f"{name}{_PEELED}" in refs}
    tips = {ref for ref in refs.values() if ref.startswith(sha)} - objects
    # Another commit may begin so too, but only all of them could tell; git looks at all it has.
    found = sorted({each for each in commits(refs) if each.startswith(sha)} | tips)
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{len(found)} commits begin with {sha}: {', '.join(found[:4])}"
        hint = "give more of the SHA"
    else:
        problem, hint = f"no commit begins with {sha}", "check the SHA"
    raise RevisionNotFoundError(f"{place}: {problem}", storage="git", location=place, hint=hint)
