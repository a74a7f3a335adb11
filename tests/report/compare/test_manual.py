"""The page about comparing is true: its commands and its Python run, its C++ prints what is read here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.cli.shell import ok
from tests.report.compare.nets import made, pictures
from tests.small_net import classifier, images, saved
from tinsmith.program import Array
from tinsmith.report.compare import compare
from tinsmith.report.compare.board_log import read_log

PAGE = Path(__file__).resolve().parents[3] / "docs/comparing.md"

HEADER = """
#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>
namespace dl {
enum dtype_t { F32 = 1, I8 = 3 };
enum runtime_mode_t { RUNTIME_MODE_SINGLE_CORE = 1 };
struct TensorBase {
    std::vector<int> shape; int exponent; dtype_t dtype; std::vector<uint8_t> data;
    TensorBase(std::vector<int> s, const void *element, int e, dtype_t t) : shape(s), exponent(e), dtype(t) {
        data.resize(get_bytes());
        if (element) memcpy(data.data(), element, data.size());
    }
    virtual void *get_element_ptr() { return data.data(); }
    template <typename T> T *get_element_ptr() { return (T *)data.data(); }
    int get_bytes() { int n = dtype == I8 ? 1 : 4; for (int d : shape) n *= d; return n; }
    const char *get_dtype_string() { return dtype == I8 ? "int8" : "float"; }
    int get_exponent() { return exponent; }
    dtype_t get_dtype() { return dtype; }
    std::vector<int> get_shape() { return shape; }
};
}
namespace fbs {
struct FbsModel {
    std::vector<std::string> order; bool loaded = false;
    void load_map() { loaded = true; }
    void clear_map() { loaded = false; }
    std::vector<std::string> topological_sort() { return loaded ? order : std::vector<std::string>(); }
    void get_operation_inputs_and_outputs(std::string node, std::vector<std::string> &i, std::vector<std::string> &o) {
        o.push_back(node);
    }
    dl::TensorBase *get_test_input_tensor(std::string) { return nullptr; }
};
}
namespace dl {
struct Model {
    fbs::FbsModel graph; std::map<std::string, TensorBase *> computed, planned, fed; int runs = 0;
    fbs::FbsModel *get_fbs_model() { return &graph; }
    std::map<std::string, TensorBase *> &get_inputs() { return fed; }
    TensorBase *get_intermediate(const std::string &name) { return planned[name]; }
    void run(std::map<std::string, TensorBase *> &, runtime_mode_t, std::map<std::string, TensorBase *> wanted = {}) {
        runs++;
        for (auto &w : wanted) w.second->data = computed[w.first]->data;
    }
};
}
"""
CRC = """
#include <cstdint>
static uint32_t esp_rom_crc32_le(uint32_t crc, const uint8_t *data, uint32_t count) {
    crc = ~crc;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    saved(classifier(), tmp_path / "model.onnx")
    np.save(tmp_path / "calibration.npy", images(8))
    np.save(tmp_path / "test.npy", images(8, seed=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_and_the_python_run(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("tinsmith ")]
    assert len(lines) == 4
    for line in lines:
        ok(*shlex.split(line, comments=True)[1:])
    (example,) = blocks("python")
    exec(example, {})
    assert capsys.readouterr().out.startswith("tensor ")


def initializer(name: str, array: Array, exponent: int) -> str:
    values = ",".join(str(byte) for byte in array.tobytes())
    kind = "I8" if array.dtype == np.int8 else "F32"
    shape = ",".join(map(str, array.shape))
    bytes_of = f"static const uint8_t {name}_bytes[] = {{{values}}};\n"
    return bytes_of + f"static dl::TensorBase {name}({{{shape}}}, {name}_bytes, {exponent}, dl::{kind});\n"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_code_for_the_board_prints_what_is_read(tmp_path: Path) -> None:
    code, use = blocks("cpp")
    program = made().program
    tensors = tinsmith.simulate(program, {"x": pictures(1)}, save_all=True)
    order = [node.outputs[0] for node in program.nodes]
    assert all(name.isidentifier() for name in tensors)
    parts = [initializer(f"t_{name}", array, program.values[name].exponent) for name, array in tensors.items()]
    main = [
        *(f'm.computed["{name}"] = &t_{name}; m.planned["{name}"] = new dl::TensorBase(t_{name}.shape, nullptr, '
          f't_{name}.exponent, t_{name}.dtype); m.graph.order.push_back("{name}");' for name in order),
        'printf("I (100) main: up\\n");',
        'dump_tensors(stdout, &m, {{"x", &t_x}});',
        "return m.runs;",
    ]  # fmt: skip
    (tmp_path / "dl_model_base.hpp").write_text(HEADER)
    (tmp_path / "esp_rom_crc.h").write_text(CRC)
    unused = f"[[maybe_unused]] static void example(dl::Model *model) {{\n{use}}}\n"
    source = code + unused + "".join(parts) + "int main() { dl::Model m;\n" + "\n".join(main) + "}\n"
    (tmp_path / "main.cpp").write_text(source)
    command = ["g++", "-std=c++20", "-Wall", "-Werror", "-I", str(tmp_path), "main.cpp", "-o", "board"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ran = subprocess.run([str(tmp_path / "board")], capture_output=True, text=True, check=False)
    assert ran.returncode == len(order)
    assert f"{zlib.crc32(tensors['x'].tobytes()):08x}" in ran.stdout
    printed = read_log(ran.stdout, "board")
    assert list(printed) == ["x", *order]
    for name, (array, exponent) in printed.items():
        np.testing.assert_array_equal(array, tensors[name])
        assert exponent == program.values[name].exponent
    (tmp_path / "board.log").write_text(ran.stdout)
    found = compare(program, tmp_path / "board.log")
    assert (found.diverged, len(found.rows)) == (False, len(tensors))
