#!/usr/bin/env python3
"""Fails if modules of the Rust crate import each other in a cycle.

At each level of the module tree the siblings, each with everything below it, must form no cycle: `bag` and `dataset`, or
`node::ros` and `node::pipeline`. A module may import from its own submodules and they from it: `bag.rs` is the public
face of `bag/`. Paths are read from `use` declarations and from expressions that begin with `crate::`, `super::` or
`self::`; test modules do not count.

  scripts/check_cycles.py            print each cycle with the imports that make it, exit status 1 if there is one
  scripts/check_cycles.py --list     print which module imports which
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*mod \w+ \{.*\Z", re.DOTALL)
TEST_FILE = re.compile(r"#\[cfg\(test\)\]\s*mod (\w+);")
COMMENT = re.compile(r"//[^\n]*")
USE = re.compile(r"\buse ([^;]+);")
INLINE_PATH = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")

Module = tuple[str, ...]


def modules() -> dict[Module, str]:
    """The library's modules, with their code without comments and tests."""
    found = {}
    tests = set()
    for file in sorted(SOURCE.rglob("*.rs")):
        module = file.relative_to(SOURCE).with_suffix("").parts
        if module[0] == "bin":
            continue
        if module == ("lib",):
            module = ()
        text = COMMENT.sub("", file.read_text(encoding="utf-8"))
        tests.update(module + (name,) for name in TEST_FILE.findall(text))
        found[module] = TEST_MODULE.sub("", text)
    is_test = lambda module: any(module[: len(test)] == test for test in tests)
    return {module: text for module, text in found.items() if not is_test(module)}


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
    """The deepest module that a path leads into; none for another crate's."""
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
    edges = set()
    for module, text in known.items():
        paths = [path for tree in USE.findall(text) for path in expand(tree)]
        paths += [path.split("::") for path in INLINE_PATH.findall(USE.sub("", text))]
        targets = {resolve(path, module, known) for path in paths}
        edges.update((module, target) for target in targets if target is not None and target != module)
    return edges


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node, by Tarjan's algorithm."""
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
    parser.add_argument("--list", action="store_true", help="print the imports between modules")
    arguments = parser.parse_args()

    known = modules()
    edges = imports(known)
    name = lambda module: "::".join(module) or "lib"
    if arguments.list:
        for source, target in sorted(edges):
            print(f"{name(source)} -> {name(target)}")
        return 0

    # For each parent: which of its children import which, and by what edges.
    levels: dict[Module, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    reasons = defaultdict(list)
    for source, target in sorted(edges):
        depth = 0
        while depth < min(len(source), len(target)) and source[depth] == target[depth]:
            depth += 1
        if depth == len(source) or depth == len(target):
            continue  # one of them is the other's parent
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
