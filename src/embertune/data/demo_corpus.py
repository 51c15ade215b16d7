"""The documentation of the running Python's standard library, as passages."""

from __future__ import annotations

import contextlib
import inspect
import io
import os.path
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from embertune.data.dataset import Document
from embertune.errors import DataError

__all__ = ["read_python_docs"]

# Chosen by hand: public, on every system, silent on import. Left out are windows and games (tkinter, turtle, idlelib),
# terminals (curses, readline, tty), one platform's own (winreg, fcntl, pwd), jokes that act (antigravity, this), and
# what 3.11 to 3.14 deprecate or have removed (cgi, imp, telnetlib, distutils, profile, ...).
_MODULES = """
    abc argparse array ast asyncio atexit base64 bdb binascii bisect bz2 calendar cmath cmd code codecs codeop
    collections collections.abc colorsys compileall concurrent.futures configparser contextlib contextvars copy
    copyreg cProfile csv ctypes dataclasses datetime decimal difflib dis doctest email email.encoders
    email.generator email.header email.headerregistry email.message email.mime.application email.mime.audio
    email.mime.base email.mime.image email.mime.multipart email.mime.text email.parser email.policy email.utils
    enum errno faulthandler filecmp fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob
    graphlib gzip hashlib heapq hmac html html.parser http http.client http.cookiejar http.cookies http.server
    imaplib importlib importlib.abc importlib.machinery importlib.metadata importlib.resources importlib.util
    inspect io ipaddress itertools json keyword linecache locale logging logging.config logging.handlers lzma
    mailbox marshal math mimetypes mmap modulefinder multiprocessing multiprocessing.connection
    multiprocessing.managers multiprocessing.pool multiprocessing.shared_memory netrc numbers operator optparse
    os os.path pathlib pdb pickle pickletools pkgutil platform plistlib poplib pprint pstats py_compile pyclbr
    queue quopri random re reprlib runpy sched secrets select selectors shelve shlex shutil signal smtplib
    socket socketserver sqlite3 ssl stat statistics string stringprep struct subprocess symtable sys sysconfig
    tabnanny tarfile tempfile textwrap threading time timeit token tokenize trace traceback tracemalloc types
    typing unicodedata unittest unittest.mock urllib.error urllib.parse urllib.request urllib.response
    urllib.robotparser uuid venv warnings wave weakref webbrowser wsgiref.handlers wsgiref.headers
    wsgiref.simple_server wsgiref.util wsgiref.validate xml.dom xml.dom.minidom xml.dom.pulldom
    xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xml.sax.xmlreader xmlrpc.client xmlrpc.server
    zipapp zipfile zipimport zlib zoneinfo
"""

_TWINS = ("bytearray", "bytes", "frozenset")  # share docstrings with str and set, whose names people know
_SHORTEST = 15  # characters: "File not found." is all that Python says, and enough
_BOILERPLATE = ("Alias for field number", "An enumeration")


def read_python_docs() -> dict[str, Document]:
    """Read the docstrings of the standard library's public functions, classes, methods and properties.

    Nothing is executed but imports, in silence. A docstring that several names share (an alias, or an inherited
    method) is kept once, under the name that comes first: builtins before modules, modules by alphabet, and in each
    its functions and classes before their methods.

    Returns:
        Qualified name ("str.split", "collections.Counter.most_common") -> the name as title, signature and
        docstring as text. The order is the same in every run.

    Raises:
        DataError: Python was started with -OO, which removes docstrings.

    Example:
        >>> docs = read_python_docs()
        >>> docs["str.split"].text.splitlines()[0]
        'split(self, /, sep=None, maxsplit=-1)'
    """
    if sys.flags.optimize >= 2:
        raise DataError(
            "Python runs with -OO (or PYTHONOPTIMIZE=2), which removes the docstrings that the demo searches. "
            "Start it without: python -m embertune demo"
        )
    passages: dict[str, Document] = {}
    objects: set[int] = set()  # an alias is the same object
    texts: set[tuple[str, str]] = set()  # an inherited or copied method has the same name and docstring
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        # own names first: logging.Formatter.converter is time.localtime
        for name, value in sorted(_public_objects(), key=lambda item: _is_alias(_leaf(item[0]), item[1])):
            text = _documentation(value)
            key = (_leaf(name), text)
            known = id(value) in objects or key in texts
            objects.add(id(value))
            texts.add(key)
            if known or len(text) < _SHORTEST or text.startswith(_BOILERPLATE):
                continue
            passages[name] = Document(text=_with_signature(name, value, text), title=name)
    return passages


def _public_objects() -> Iterator[tuple[str, Any]]:
    """Give qualified names and objects: of each module first the functions and classes, then the classes' members."""
    modules = {name: members for name in ("builtins", *_MODULES.split()) if (members := _module_members(name))}
    public = {
        value
        for members in modules.values()
        for name, value in members.items()
        if inspect.isclass(value) and not _is_alias(name, value)
    }
    for module, members in modules.items():
        prefix = "" if module == "builtins" else f"{module}."
        yield from ((prefix + name, value) for name, value in members.items())
        classes = [(name, value) for name, value in members.items() if inspect.isclass(value)]
        classes.sort(key=lambda item: (_is_alias(*item), len(item[1].__mro__)))  # io.IOBase.seek before its heirs'
        for name, value in classes:
            yield from ((f"{prefix}{name}.{member}", found) for member, found in _class_members(value, public))


def _module_members(name: str) -> dict[str, Any]:
    """Give a module's public functions and classes by name, sorted; none where this system lacks the module."""
    try:
        module = import_module(name)
    except ImportError:  # a Python built without OpenSSL, SQLite, bz2, ... is common
        return {}
    listed = getattr(module, "__all__", None)
    names = sorted(set(vars(module) if listed is None else listed))
    found = {key: getattr(module, key, None) for key in names if not key.startswith("_")}
    # sys.excepthook and its like are there to be replaced; sys.__excepthook__ stays Python's own
    originals = {key: vars(module).get(f"__{key}__") for key in found}
    found.update((key, value) for key, value in originals.items() if inspect.isroutine(value))
    found = dict(sorted(found.items(), key=lambda item: (item[0] in _TWINS, _is_alias(*item))))
    return {
        key: value
        for key, value in found.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and _belongs(value, name, listed is not None)
    }


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _is_alias(name: str, value: Any) -> bool:
    """Tell a second name (bisect.bisect for bisect_right, socket.SocketType) from an object's own."""
    return getattr(value, "__name__", name) != name


def _belongs(value: Any, module: str, is_listed: bool) -> bool:
    """Tell Python's own objects from those that a module imported or that a test tool or a shell hung into it."""
    owner = (getattr(value, "__module__", None) or module).partition(".")[0]
    if is_listed or module == "builtins":  # what __all__ lists may be another module's; open() says that it is io's
        return owner in sys.stdlib_module_names
    return owner.removeprefix("_") == module.partition(".")[0]  # "_struct" is struct, the part in C


def _class_members(owner: type, public: set[type]) -> Iterator[tuple[str, Any]]:
    """Give a class's methods and properties, with those of its private bases, which have no passages of their own."""
    covered = {object}.union(*(base.__mro__ for base in owner.__mro__[1:] if base in public))
    found: dict[str, Any] = {}
    for base in owner.__mro__:
        if base is owner or base not in covered:
            for name, value in vars(base).items():
                found.setdefault(name, value)
    for name in sorted(found):
        value = inspect.unwrap(getattr(found[name], "__func__", found[name]))  # class and static methods
        if not name.startswith("_") and (inspect.isroutine(value) or inspect.isdatadescriptor(value)):
            yield name, value


def _documentation(value: Any) -> str:
    """Give an object's own docstring, without the indentation that Python before 3.13 leaves in."""
    text = getattr(value, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) else ""


def _with_signature(name: str, value: Any, text: str) -> str:
    """Put the signature on top, unless the docstring begins with it (older C functions) or there is none."""
    leaf = _leaf(name)
    if text.startswith((f"{leaf}(", f"{name}(")) or not callable(value):
        return text
    try:
        signature = inspect.signature(value)
    except (ValueError, TypeError, NameError, AttributeError):  # C without one; annotations that only type checkers see
        return text
    # annotations differ between versions
    parameters = [
        parameter.replace(annotation=parameter.empty, default=_stable(parameter.default))
        for parameter in signature.parameters.values()
    ]
    return f"{leaf}{signature.replace(parameters=parameters, return_annotation=signature.empty)}\n\n{text}"


def _stable(default: Any) -> Any:
    """Replace a default value that is an address in memory or a path of this machine."""
    here = " at 0x" in repr(default) or (isinstance(default, str) and os.path.isabs(default))
    return ... if here and default is not inspect.Parameter.empty else default
