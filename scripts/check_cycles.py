#!/usr/bin/env python3
"""Checks that the modules of the Rust library do not import each other in a cycle.

At each level of the module tree, siblings such as `bag` and `dataset`, or `node::ros` and `node::pipeline`, must not form a
cycle. The imports of a module's submodules count as its own. Imports between a module and its submodules are allowed in both
directions, since `bag.rs` is the public interface of `bag/`.

The imports are read from `use` declarations and from paths in expressions that begin with `crate::`, `super::` or `self::`.
Code under `#[cfg(test)]` is ignored. An inline module counts as a part of its file and must not use `super`.

  scripts/check_cycles.py            print each cycle with its imports; exit status 1 if there is one
  scripts/check_cycles.py --list     print the imports between modules
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
LINE_COMMENT, BLOCK_COMMENT = r"//[^\n]*", r"/\*.*?\*/"
CHARACTER, RAW_STRING, STRING = r"'(?:\\.|[^\\'])'", r'\bb?r(#*)".*?"\1', r'"(?:\\.|[^"\\])*"'
NOT_CODE = re.compile("|".join([LINE_COMMENT, BLOCK_COMMENT, CHARACTER, RAW_STRING, STRING]), re.DOTALL)
TEST_ATTRIBUTE = re.compile(r"#\[cfg\(test\)\]")
TEST_FILE = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod (\w+);")
USE = re.compile(r"\buse ([^;]+);")
INLINE_PATH = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")

Module = tuple[str, ...]


def modules(source: Path) -> dict[Module, str]:
    """The modules of the library, with their code without comments, strings and tests."""
    found = {}
    tests = set()
    for file in sorted(source.rglob("*.rs")):
        module = file.relative_to(source).with_suffix("").parts
        if module[0] == "bin":
            continue
        if module == ("lib",):
            module = ()
        code = NOT_CODE.sub("", file.read_text(encoding="utf-8"))
        tests.update(module + (name,) for name in TEST_FILE.findall(code))
        found[module] = without_tests(code)
    return {module: code for module, code in found.items() if not any(module[: len(test)] == test for test in tests)}


def without_tests(code: str) -> str:
    """The code without the items that have the attribute `#[cfg(test)]`."""
    while attribute := TEST_ATTRIBUTE.search(code):
        end, depth = attribute.end(), 0
        while end < len(code):
            depth += (code[end] in "([{") - (code[end] in ")]}")
            end += 1
            if depth == 0 and code[end - 1] in ";}":
                break
        code = code[: attribute.start()] + code[end:]
    return code


def expand(tree: str) -> list[list[str]]:
    """`a::{b, c::{d, e}}` as [[a, b], [a, c, d], [a, c, e]]."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    prefix = [part.strip() for part in head.split("::") if part.strip()]
    if not brace:
        return [[part.split(" as ")[0].strip() for part in prefix]]
    paths, depth, start = [], 0, 0
    body = rest.rstrip().removesuffix("}")
    for index, letter in enumerate(body + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            if body[start:index].strip():
                paths += [prefix + path for path in expand(body[start:index])]
            start = index + 1
    return paths


def resolve(path: list[str], module: Module, known: dict[Module, str]) -> Module | None:
    """The deepest module on a path; None if the path leads to another crate."""
    if path[0] == "crate":
        base, path = (), path[1:]
    elif path[0] in ("super", "self"):
        base = module
        while path and path[0] in ("super", "self"):
            base = base[:-1] if path[0] == "super" else base
            path = path[1:]
    elif module + (path[0],) in known:
        base = module
    else:
        return None
    target = tuple(base)
    for name in path:
        if target + (name,) not in known:
            break
        target += (name,)
    return target


def imports(known: dict[Module, str]) -> set[tuple[Module, Module]]:
    """Pairs of an importing and an imported module."""
    edges = set()
    for module, text in known.items():
        paths = [path for tree in USE.findall(text) for path in expand(tree)]
        paths += [path.split("::") for path in INLINE_PATH.findall(USE.sub("", text))]
        targets = {resolve(path, module, known) for path in paths}
        edges.update((module, target) for target in targets if target is not None and target != module)
    return edges


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components with more than one node (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SOURCE, help="directory with lib.rs")
    parser.add_argument("--list", action="store_true", help="print the imports between modules")
    arguments = parser.parse_args()

    known = modules(arguments.source)
    edges = imports(known)
    name = lambda module: "::".join(module) or "lib"
    if arguments.list:
        for source, target in sorted(edges):
            print(f"{name(source)} -> {name(target)}")
        return 0

    # The graph of the siblings below each parent, and the imports behind each of its edges.
    levels: dict[Module, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    reasons = defaultdict(list)
    for source, target in sorted(edges):
        depth = 0
        while depth < min(len(source), len(target)) and source[depth] == target[depth]:
            depth += 1
        if depth == len(source) or depth == len(target):
            continue  # One module is an ancestor of the other.
        parent = source[:depth]
        levels[parent][source[depth]].add(target[depth])
        levels[parent].setdefault(target[depth], set())
        reasons[parent, source[depth], target[depth]].append(f"{name(source)} -> {name(target)}")
    has_cycle = False
    for parent, graph in sorted(levels.items()):
        for component in cycles(graph):
            has_cycle = True
            print(f"cycle in {name(parent)}: {', '.join(component)}")
            for source in component:
                for target in sorted(graph[source] & set(component)):
                    for reason in reasons[parent, source, target]:
                        print(f"  {reason}")
    return int(has_cycle)


if __name__ == "__main__":
    sys.exit(main())
