"""No mutable module globals, and no work at import.

Why: state that belongs to nobody is shared by everybody: two servers in one test, or a reload, see each other's. Work
at import happens before settings are read, makes every command slow, and fails where no one can handle it.
Constants in capitals may be dicts or lists if nothing in the module changes them.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.shape.sources import ROOT, Finding, Source, assert_none, dotted, findings, of_snippet, sources

CONSTANT: Final = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*$|__\w+__$")
CONTAINERS: Final = frozenset({"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict", "bytearray"})
STATEFUL: Final = frozenset(
    "Lock RLock Event Condition Semaphore CapacityLimiter count Random open_memory_channel SimpleQueue Queue Thread "
    "WeakKeyDictionary WeakValueDictionary WeakSet CollectorRegistry ThreadPoolExecutor local".split()
)
MUTATORS: Final = frozenset("append add update pop clear setdefault extend insert remove discard popitem sort".split())
DISPLAYS: Final = (ast.Dict, ast.List, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def module_state(source: Source) -> Iterator[Finding]:
    constants: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        maker = dotted(value.func).rsplit(".")[-1] if isinstance(value, ast.Call) else ""
        if maker in STATEFUL:
            yield source.finding("state", node, f"a module-level {maker} is state: make it in app.py and pass it in")
        for name in (target.id for target in targets if isinstance(target, ast.Name)):
            if CONSTANT.match(name):
                constants.add(name)
            elif isinstance(value, DISPLAYS) or maker in CONTAINERS:
                remedy = "a constant is in CAPITALS; state belongs into an object that app.py makes"
                yield source.finding("state", node, f"`{name}` is a mutable module global: {remedy}")
    for inner in ast.walk(source.tree):
        if isinstance(inner, ast.Global):
            yield source.finding("state", inner, "`global`: keep it in an object that app.py makes")
        elif (changed := _changed(inner)) in constants:
            yield source.finding("state", inner, f"the constant {changed} is changed: keep state in an object")
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in inner.decorator_list:
                if _unbounded_cache(decorator):
                    remedy = "write lru_cache(maxsize=N), N small"
                    yield source.finding("state", inner, f"an unbounded cache that a stranger may fill: {remedy}")


def _changed(node: ast.AST) -> str:
    """Return the name of the container that this node changes, or an empty string."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return dotted(node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return dotted(node.value)
    return ""


def _unbounded_cache(decorator: ast.expr) -> bool:
    call = decorator if isinstance(decorator, ast.Call) else None
    name = dotted(call.func if call else decorator).rsplit(".")[-1]
    if name == "cache":
        return True
    sizes = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "maxsize")] if call else []
    return name == "lru_cache" and any(isinstance(size, ast.Constant) and size.value is None for size in sizes)


def import_work(source: Source) -> Iterator[Finding]:
    remedy = "put it into a function that app.py or the command calls"
    for node in source.tree.body:
        if isinstance(node, ast.For | ast.While | ast.With | ast.AsyncFor | ast.AsyncWith):
            yield source.finding("import-work", node, f"a statement that works at import: {remedy}")
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            yield source.finding("import-work", node, f"a call at import: {remedy}")


AUDIT = """
import importlib, os, pkgutil, sys
home = os.path.join(sys.argv[1], "appliance")
names = ("open", "socket.", "subprocess.", "os.system", "os.mkdir", "os.remove", "os.rename", "os.listdir",
         "os.scandir", "tempfile.", "_thread.start", "time.sleep", "os.putenv", "signal.")
active = True
def hook(event, arguments):
    if not active or not event.startswith(names):
        return
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return
        if name.startswith(home):
            print(f"{os.path.relpath(name, sys.argv[1])}:{frame.f_lineno}: [import-work] {event} {arguments[:1]!r} "
                  "at import: put it into a function")
            return
        frame = frame.f_back
sys.addaudithook(hook)
import appliance
found = [m.name for m in pkgutil.walk_packages([home], "appliance.") if not m.name.endswith("__main__")]
for name in found:
    importlib.import_module(name)
active = False
print("imported", len(found))
"""


def imports_in_a_fresh_process(root: str) -> list[str]:
    """Import every module below ROOT/appliance in a new Python; return a line per file, socket or process touched."""
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{AUDIT}", root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert last.startswith("imported ")
    return lines


def test_no_mutable_module_globals() -> None:
    assert_none(findings(module_state, sources()))


def test_modules_only_define() -> None:
    assert_none(findings(import_work, sources()))


def test_importing_touches_no_file_socket_or_process() -> None:
    found = imports_in_a_fresh_process(str(ROOT))
    assert not found, "\n" + "\n".join(found)


def test_the_import_check_fires(tmp_path: Path) -> None:
    root = tmp_path
    (root / "appliance").mkdir()
    (root / "appliance" / "__init__.py").write_text("")
    (root / "appliance" / "bad.py").write_text("import socket\nHERE = open(__file__).read()\nS = socket.socket()\n")
    found = imports_in_a_fresh_process(str(root))
    assert [line.split(":")[:2] for line in found] == [["appliance/bad.py", "2"], ["appliance/bad.py", "3"]]


def test_the_checks_fire() -> None:
    for text in (
        "cache = {}\n",
        "seen: set[str] = set()\n",
        "LOCK = trio.Lock()\n",
        "TABLE = {}\ndef f():\n    TABLE['a'] = 1\n",
        "TABLE = []\ndef f():\n    TABLE.append(1)\n",
        "x = 0\ndef f():\n    global x\n",
        "@functools.cache\ndef f(x): ...\n",
        "@lru_cache(maxsize=None)\ndef f(x): ...\n",
    ):
        assert of_snippet(module_state, text), text
    for text in (
        "TABLE = {'a': 1}\n",
        "__all__ = ['a']\n",
        "@lru_cache(maxsize=8)\ndef f(x): ...\n",
        "def f():\n x = []\n",
    ):
        assert of_snippet(module_state, text) == [], text
    for text in ("setup()\n", "for x in y:\n    pass\n", "with open('x') as f:\n    pass\n"):
        assert of_snippet(import_work, text), text
    assert of_snippet(import_work, '"""Docs."""\nimport re\nX = re.compile("a")\n') == []
