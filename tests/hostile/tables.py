"""Array files, tables and study files from a stranger."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from hostile.place import Hostile, Place

Content = bytes | Callable[[], bytes]
"""What a file holds, or what makes it where that takes long."""


class Acts:
    """Pickled, it starts a program when it is read."""

    def __reduce__(self):
        return os.system, ("touch acted",)


def npy(text: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with this header."""
    raw = text.encode("latin-1") + b"\n"
    width = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(raw).to_bytes(width, "little") + raw + content


def described(shape: str = "(9, 2)", kind: str = "'<f4'", more: str = "") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, {more}}}"


def sound(shape: tuple[int, ...] = (30, 2), kind: str = "float32") -> bytes:
    held = io.BytesIO()
    np.save(held, np.arange(np.prod(shape)).reshape(shape).astype(kind))
    return held.getvalue()


def arrays() -> list[Hostile]:
    objects = io.BytesIO()
    np.save(objects, np.array([Acts(), {}], dtype=object), allow_pickle=True)
    blob = sound()
    made: dict[str, bytes] = {
        "objects": objects.getvalue(),
        "a pickle": pickle.dumps(Acts()),
        "an old pickle": pickle.dumps(Acts(), 0),
        "objects in a structure": npy(described(kind="[('a', '|O')]"), b"\0" * 99),
        "a negative shape": npy(described("(-1, 2)"), b"\0" * 99),
        "two negatives": npy(described("(-3, -3)"), b"\0" * 99),
        "a huge shape": npy(described(f"({2**40}, 2)"), b"\0" * 99),
        "an overflowing shape": npy(described(f"({2**62}, {2**62})"), b"\0" * 99),
        "a shape beyond numbers": npy(described(f"({10**40},)"), b"\0" * 99),
        "many dimensions": npy(described("(" + "1, " * 100 + ")"), b"\0" * 99),
        "a shape of text": npy(described("'9'"), b"\0" * 99),
        "a shape of floats": npy(described("(9.0, 2.0)"), b"\0" * 99),
        "no shape": npy("{'descr': '<f4', 'fortran_order': False}", b"\0" * 99),
        "more keys": npy(described(more="'x': 1"), b"\0" * 99),
        "a call": npy("__import__('os').system('touch acted')", b"\0" * 99),
        "a deep header": npy("(" * 5000 + ")" * 5000),
        "a header of 2 GB": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{" * 100,
        "a header of 10 MB": npy(described() + " " * 10_000_000, b"\0" * 99, b"\x02\x00"),
        "version 9": npy(described(), b"\0" * 99, b"\x09\x00"),
        "strings": npy(described("(3,)", "'<U5'"), b"\0" * 60),
        "complex": npy(described("(9, 2)", "'<c8'"), b"\0" * 144),
        "dates": npy(described("(9, 2)", "'<M8[s]'"), b"\0" * 144),
        "void": npy(described("(9, 2)", "'|V4'"), b"\0" * 72),
        "a huge item": npy(described("(1,)", f"'|S{2**31 - 1}'"), b"\0" * 72),
        "no kind": npy(described("(9, 2)", "'nonsense'"), b"\0" * 72),
        "a zero dimension": npy(described("(0, 2)")),
        "no dimension": npy(described("()"), b"\0" * 4),
        "NaN": sound()[:128] + np.full(60, np.nan, "float32").tobytes(),
        "infinity": sound()[:128] + np.full(60, np.inf, "float32").tobytes(),
        "nothing": b"",
        "a zip": b"PK\x03\x04" + b"\0" * 40,
        "cut header": blob[:60],
        "cut content": blob[:-7],
        "more behind": blob + b"x" * 100,
    }
    found = []
    for what, raw in made.items():
        found.append(file_trial("arrays", what, "x.npy", raw))
        found.append(file_trial("arrays", f"{what}, decoded", "z.npy", raw, decode=True))
    found.append(
        file_trial("arrays", "4 GB of shape in a sparse file", "x.npy", npy(described("(1000000000,)")), 4 << 30)
    )

    def zipped(members: dict[str, bytes]) -> bytes:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as z:
            for name, content in members.items():
                z.writestr(name, content)
        return held.getvalue()

    archives: dict[str, Content] = {
        "half a GB of zeros": lambda: zipped({"x.npy": npy(described(f"({1 << 29},)", "'|u1'")) + b"\0" * (1 << 29)}),
        "claims 6 GB": zipped({"x.npy": npy(described("(1500000000,)"), b"\0" * 999)}),
        "objects": zipped({"x.npy": objects.getvalue()}),
        "a pickle": zipped({"x.npy": pickle.dumps(Acts()), "y.pkl": pickle.dumps(Acts())}),
        "a member outside": zipped({"../../outside/new.npy": blob}),
        "no members": zipped({}),
        "no arrays": zipped({"x.txt": b"x"}),
        "10,000 arrays": zipped({f"a{i}.npy": blob for i in range(10_000)}),
        "an npz in an npz": zipped({"x.npz": zipped({"x.npy": blob})}),
        "escapes in names": zipped({"\x1b[31m[bold].npy": blob, "b.npy": blob}),
        "an npy": blob,
        "cut": zipped({"x.npy": blob})[:-30],
    }
    for what, raw in archives.items():
        found.append(file_trial("arrays in npz", what, "x.npz", raw))
        if "npy" not in what:
            found.append(file_trial("arrays in npz", f"{what}, decoded", "x.npz", raw, decode=True))
    return found


def file_trial(kind: str, name: str, file: str, raw: Content, size: int = 0, decode: bool = False) -> Hostile:
    def build(place: Place) -> Sequence[str]:
        path = place.here / file
        path.write_bytes(raw() if callable(raw) else raw)
        if size:
            os.truncate(path, size)
        if decode:
            return ["decode", str(place.run("vae")), str(path), "--out", str(place.out / "x.npy")]
        return ["data", "info", str(path)]

    return Hostile(kind, name, build)


def generators() -> list[Hostile]:
    """ONNX files that --fake names."""
    from onnx import TensorProto, helper

    def model(location: str = "", op: str = "Identity", **attributes: object) -> bytes:
        codes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("z", "x")]
        nodes = [helper.make_node(op, ["z"], ["x"], **attributes)]
        graph = helper.make_graph(nodes, "g", codes[:1], codes[1:])
        if location:
            held = graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[9], data_location=1)
            held.external_data.add(key="location", value=location)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        helper.set_model_props(made, {"prior": "normal", "output": '{"range": [0, NaN, "x"]}'})
        return made.SerializeToString()

    nested = helper.make_node("If", ["z"], ["x"])
    contents = {
        "weights in a precious file": model("../outside/precious.txt"),
        "weights in a device": model("/dev/zero"),
        "an unknown operator": model(op="Run"),
        "an operator that is not given what it needs": nested.SerializeToString(),
        "a cut file": model()[:-9],
        "a pickle": pickle.dumps(Acts()),
        "zeros": bytes(1000),
        "nothing": b"",
        "words for a range": model(),
    }

    def trial(name: str, content: bytes) -> Hostile:
        def build(place: Place) -> Sequence[str]:
            (place.here / "g.onnx").write_bytes(content)
            return ["evaluate", "--real", "8gaussians", "--fake", str(place.here / "g.onnx"), "-n", "20"]

        return Hostile("tables", f"a generator: {name}", build)

    return [trial(name, content) for name, content in contents.items()]


def csv() -> list[Hostile]:
    rows = "".join(f"{i},{i * i}\n" for i in range(30))
    texts: dict[str, Content] = {
        "a cell of 200,000": ("a,b\n" + "1" * 200_000 + ",2\n" + rows).encode(),
        "a quoted cell of 50 MB": lambda: b'a,b\n"' + b"x" * 50_000_000 + b'",2\n',
        "a quote never closed": ('a,b\n"1,2\n' + rows).encode(),
        "NUL": b"a,b\n1,\x002\n" + rows.encode(),
        "UTF-16": ("a,b\n" + rows).encode("utf-16"),
        "no text": bytes(range(256)) * 50,
        "formulas": b"=cmd|' /C calc'!A0,@SUM(1)\n" + rows.encode(),
        "escapes": b"\x1b[31mred,[bold]b\n" + rows.encode(),
        "100,000 columns": (",".join(map(str, range(100_000))) + "\n").encode() * 3,
        "rows of other lengths": b"a,b\n1,2\n1,2,3\n1\n" + rows.encode(),
        "only a header": b"a,b\n",
        "nothing": b"",
        "one line end": b"\n",
        "numbers of 5,000 digits": b"a,b\n" + (b"1" * 5000 + b",2\n") * 3,
        "huge exponents": b"a,b\n1e999,2\n1e-999,3\n-1e999,1\n",
        "NaN": b"a,b\nnan,2\ninf,3\n" + rows.encode(),
        "hexadecimal": b"a,b\n0x10,2\n" + rows.encode(),
        "underscores": b"a,b\n1_000,2\n" + rows.encode(),
        "other digits": "a,b\n١٢,2\n".encode() + rows.encode(),
        "only returns": rows.replace("\n", "\r").encode(),
        "names alike": b"a,a\n" + rows.encode(),
        "a name of a MB": b"a" * 1_000_000 + b",b\n" + rows.encode(),
        "typed, escapes": ("k,x\n" + "\x1b[31mred,1\n[bold]b,2\n" * 20).encode(),
        "typed, formulas": b"k,x\n" + b"=cmd|' /C calc'!A0,1\n@SUM(1),2\n" * 20,
        "typed, dates beyond the calendar": b"d,x\n0000-00-00,1\n9999-99-99,2\n2024-01-01,3\n",
        "typed, dates in three formats": b"d,x\n2024-01-31,1\n31.01.2024,2\n01/31/2024,3\n",
        "typed, nothing but empty cells": b"a,b\n" + b"NA,\n" * 20,
        "typed, a text of its own in each row": b"a,b\n" + b"".join(b"x%d,1\n" % i for i in range(9_000)),
        "typed, 20,000 columns": (
            ",".join(f"c{i}" for i in range(20_000)) + "\n" + ("a," * 20_000)[:-1] + "\n"
        ).encode()
        + (("b," * 20_000)[:-1] + "\n").encode(),
        "typed, huge numbers": b"a,k\n" + b"1e300,x\n-1e300,y\n1e-300,x\n" * 9,
        "a page": b"<html><body>not found</body></html>",
        "a mark of order": b"\xef\xbb\xbf" * 50 + rows.encode(),
    }
    found = [file_trial("tables", what, "x.csv", raw) for what, raw in texts.items()]
    found.append(file_trial("tables", "no Parquet behind its mark", "x.parquet", b"PAR1" + b"\xff" * 200 + b"PAR1"))
    for what, raw in {"a call": "a: !!python/object/apply:os.system ['touch acted']\n", "lists": "a: [[b]]\n"}.items():

        def typed(place: Place, raw: str = raw) -> Sequence[str]:
            (place.here / "x.csv").write_text("a,b\n" + rows)
            (place.here / "t.yaml").write_text(raw)
            return ["data", "info", str(place.here / "x.csv"), "--columns", str(place.here / "t.yaml")]

        found.append(Hostile("tables", f"types in YAML: {what}", typed))
    for what, raw in texts.items():
        if what.startswith(
            ("formulas", "escapes", "names", "a cell", "NUL", "a name", "typed, e", "typed, f", "typed, h")
        ):

            def build(place: Place, raw: Content = raw) -> Sequence[str]:
                (place.here / "x.csv").write_bytes(raw() if callable(raw) else raw)
                return ["train", "realnvp-8gaussians", "--data", str(place.here / "x.csv"), "--train.images", "64",
                        "--train.batch", "8", "--out", str(place.out / "run")]  # fmt: skip

            found.append(Hostile("tables", f"{what}, trained on", build))
    return found


TINY = "{recipe: gan-8gaussians, model.width: 8, train.images: 64, train.batch: 32}"


def studies() -> list[Hostile]:
    """Study files; those that are sound but for one field are small enough to be carried out, and few."""
    bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"k{i}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12)
    )
    recipes = f"recipes: [{TINY}]\n"
    sound = "yardsticks: false\nsamples: 64\nseeds: 1\n" + recipes
    texts: dict[str, str] = {
        "anchors that expand": bomb + "name: x\n" + recipes,
        "anchors that expand in a list": bomb + "name: x\nrecipes: *a9\n",
        "a loop": "name: x\nrecipes: &a [*a]\n",
        "a loop of mappings": "name: x\nrecipes:\n  - &a {recipe: *a}\n",
        "merge keys": "name: x\nbase: &b {recipe: gan-8gaussians}\nrecipes:\n  - {<<: *b}\n",
        "deep lists": "name: x\nrecipes: " + "[" * 20_000 + "]" * 20_000 + "\n",
        "deep mappings": "name: x\nrecipes: " + "{a: " * 5000 + "1" + "}" * 5000 + "\n",
        "a call": "name: x\nrecipes: !!python/object/apply:os.system ['touch acted']\n",
        "a class": "name: x\nrecipes: !!python/object:os.PathLike {}\n",
        "a module": "name: !!python/module:os\n" + recipes,
        "a new object": "!!python/object/new:type {args: [x, [], {}]}\n",
        "seeds 10^18": "name: x\nseeds: 1000000000000000000\n" + recipes,
        "seeds 10^9": "name: x\nseeds: 1000000000\n" + recipes,
        "seeds of 5,000 digits": "name: x\nseeds: " + "9" * 5000 + "\n" + recipes,
        "seeds NaN": "name: x\nseeds: .nan\n" + recipes,
        "seeds infinity": "name: x\nseeds: .inf\n" + recipes,
        "seeds a list": "name: x\nseeds: [1, 2]\n" + recipes,
        "seeds negative": "name: x\nseeds: -3\n" + recipes,
        "seeds sexagesimal": "name: x\nseeds: 190:20:30\n" + recipes,
        "samples 10^18": "name: x\nsamples: 1000000000000000000\nrecipes: [{recipe: gan-8gaussians, model.depth: 0}]\n",
        "samples negative": "name: x\nsamples: -5\n" + recipes,
        "depth 10^7": "name: x\nrecipes: [{recipe: gan-8gaussians, model.depth: 10000000}]\n",
        "width 10^7": "name: x\nrecipes: [{recipe: gan-8gaussians, model.width: 10000000}]\n",
        "batch 10^12": "name: x\nrecipes: [{recipe: gan-8gaussians, train.batch: 1000000000000}]\n",
        "20,000 recipes": "name: x\nseeds: 1\nrecipes:\n" + "  - {recipe: nonsense}\n" * 20_000,
        "images a list": "name: x\nrecipes: [{recipe: gan-8gaussians, train.images: [1, 2]}]\n",
        "an unknown field": "name: x\nrecipes: [{recipe: gan-8gaussians, train.__class__: 1}]\n",
        "a field of a field": "name: x\nrecipes: [{recipe: gan-8gaussians, train.images.real: 1}]\n",
        "keys that are lists": "name: x\n? [1, 2]\n: 3\n" + recipes,
        "keys twice": "name: x\nname: y\n" + recipes,
        "a date as name": "name: 2020-01-01\n" + sound,
        "escapes in the name": 'name: "\\e[31m[bold]x"\nrecipes: [{recipe: nonsense}]\n',
        "two documents": "name: x\n---\nname: y\n",
        "nothing": "",
        "only text": "hello\n",
        "a tab": "name:\tx\n\trecipes: []\n",
        "tags unknown": "name: !x y\nrecipes: !!binary aGVsbG8=\n",
        "binary name": "name: !!binary aGVsbG8=\n" + sound,
        "a path as recipe": "name: x\nrecipes: [{recipe: ../../outside/precious.txt}]\n",
        "a set": "name: x\nrecipes: !!set {a, b}\n",
        "NaN rate": "name: x\nrecipes: [{recipe: gan-8gaussians, train.lr: .nan}]\n",
        "a device as data": "name: x\nrecipes: [{recipe: gan-8gaussians, data.name: /dev/zero}]\n",
    }
    found = [study_trial(what, text) for what, text in texts.items()]
    for name in (
        "../outside/new",
        "{outside}/new",
        "..",
        ".",
        "a/../../outside/x",
        "x/../../outside/y",
        "~/x",
        "a\\0b",
        "",
    ):
        text = f'name: "{name}"\n' + sound
        found.append(study_trial(f"named {name!r}", text, asked_out=False))
    found.append(study_trial("64 MB of comments", "# x\n", times=1 << 24))
    found.append(study_trial("a line of 64 MB", "x", times=1 << 26))
    return found


def study_trial(what: str, text: str, asked_out: bool = True, times: int = 1) -> Hostile:
    def build(place: Place) -> Sequence[str]:
        file = place.here / "s.yaml"
        file.write_text(text.replace("{outside}", str(place.outside)) * times)
        out = ["--out", str(place.out / "study")] if asked_out else []
        return ["study", str(file), "--jobs", "1", *out]

    return Hostile("study files", what, build)


def study_folders() -> list[Hostile]:
    """study.json of other types than ours, reported on."""
    from hostile.runs import WRONG, paths_of, replaced

    run = {"run": "run", "recipe": "gan-8gaussians", "seed": 3, "state": "done", "message": ""}
    value = {"name": "x", "about": "", "seeds": 1, "samples": None, "runs": [run]}
    found = []
    for path in paths_of(value):
        for turn, (what, text) in enumerate(WRONG.items()):
            if path and (turn + len(str(path))) % 3:
                continue

            def build(place: Place, path: tuple = path, text: str = text) -> Sequence[str]:
                place.run()
                (place.here / "study.json").write_text(replaced(value, path, text))
                return ["report", str(place.here), "--out", str(place.out / "report.html")]

            found.append(Hostile("JSON of a study", f"{'.'.join(map(str, path)) or 'the whole'}: {what}", build))
    return found
