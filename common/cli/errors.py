"""Say what went wrong in the words of the command line: options and variables, not keywords of Python."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS: dict[str, str] = {
    "deadline": "--deadline",
    "inline": "--inline",
    "json": "--data",
    "method": "METHOD",
    "on_cancel": "--cancel-on-interrupt",
    "path": "PATH",
    "profile": "--profile",
    "timeout": "--timeout",
}
"""Keywords of the SDK that the command has under another name; any other is the key of a profile."""

WORDS: dict[str, str] = {
    r"connect\(\) needs a system: pass a URL [^,]*, a job's reference or profile='name', or set": (
        "no system is named: give --target ontap://host or --profile NAME, or set"
    ),
    r"pass auth=, or name a profile with": (
        "add a profile for it (or set JOBSOURCE_ENDPOINT, and a variable JOBSOURCE_… for each key) with"
    ),
    r"profile='name'": "--profile NAME",
    r"pass verify='ca\.pem'": 'set verify = "ca.pem" in its profile, or JOBSOURCE_VERIFY',
    r"or pass verify= an ssl\.SSLContext[^;:]*": "or correct the address",
    r"verify='ca\.pem' is safer": "set verify to a CA file instead",
    r"verify=False": "verify = false",
    r"pass auth=Bearer\(token\), or cert= for a client certificate": "set token or cert in its profile",
    r"or pass auth= yourself": "or set another way to sign in, in a profile",
    r"pass them as auth=\(user, password\)": "set user and password in a profile instead",
    r"or pass the file as path=": "or set CF_HOME",
    r"([a-z_]+)= is missing: pass (the id of the \w+ [a-z]+,|it) as text": (
        r"\1 is missing: set \1 in its profile, or its variable JOBSOURCE_…"
    ),
    r"not ended by [-:.+\dT]+": "not ended in time",
    r"\$: not JSON": "the response is not JSON",
    r"([A-Z]+ https?://\S+): \w+: (?:\[[^\]]*\] )?": r"\1: ",  # the class of an exception, and its errno
    r" \(_ssl\.c:\d+\)": "",
    r"pass its parts through urllib\.parse\.quote\(\)": "write a space as %20, and so on",
}
"""What the SDK says, and what a user of the command should read instead.

Tests check that each pattern matches a message of the SDK, and that no message needs another pattern.
"""

PARSER_WORDS: dict[str, str] = {
    r"Unused Tokens: \[(.*)\]\.": r"more words than it takes: \1",
    r"Command \"[a-z]+\" parameter ([A-Z]+) requires an argument": r"\1 is missing",
    r"Command \"[a-z]+\" parameter (-\S+) requires an argument": r"\1 needs a value",
    r"unable to convert (\".*\") into int\b": r"\1 is not a whole number",
    r"unable to convert (\".*\") into float\b": r"\1 is not a number",
    r"(['\"])@-\1": r"\1-\1",  # how `parameters.STDIN` was typed
}
"""The same for what cyclopts says."""

_KEYWORD = re.compile(r"\b([a-z_]+)=(?=[ :,]|$)")

CHOICES = (
    re.compile(r"there is no profile '(?P<word>[^']*)' in .*; there are: (?P<choices>.+)$", re.DOTALL),
    re.compile(r"unknown key '(?P<word>[^']*)'; known for \S+ are (?P<choices>.+)$"),
    re.compile(r"has no option '(?P<word>[^']*)'; there are: (?P<choices>.+)$"),
    re.compile(r"unknown filter '(?P<word>[^']*)': .* filtered by (?P<choices>.+)$"),
)


def in_words_of_the_shell(message: str) -> str:
    """Return a message of the SDK as the command prints it, with "did you mean" where that may help."""
    for pattern, words in (WORDS | PARSER_WORDS).items():
        message = re.sub(pattern, words, message)
    message = _KEYWORD.sub(lambda keyword: KEYWORDS.get(keyword[1], keyword[1]), message)
    for choices in CHOICES:
        match = choices.search(message)
        if match and match["choices"] != "none":
            return message + did_you_mean(match["word"], re.split(r", | and ", match["choices"]))
    return message


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``; did you mean 'running'?`` for a word that is close to one of the choices, else ""."""
    import difflib  # lazily: most words are right

    close = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
