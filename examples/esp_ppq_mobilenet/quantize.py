"""MobileNetV2 three ways: as it is, with two layers in int16, and equalized after ReLU6 became ReLU.

Run train.py first, or name a model with --model, its pictures with --images and their classes with --labels.
"""

import argparse
import time
from pathlib import Path

import onnx
import torch
from esp_ppq import QuantizationSettingFactory
from esp_ppq.api import espdl_quantize_onnx, get_target_platform
from esp_ppq.executor import TorchExecutor
from onnx import numpy_helper
from torch.utils.data import DataLoader, TensorDataset

from data import digits, folder, parts
from train import TEST

METHODS = ("default", "mixed", "equalized")
INT16 = ("/features/features.1/conv/conv.0/conv.0.0/Conv", "/features/features.1/conv/conv.0/conv.0.2/Clip")
"""The first depthwise convolution and its activation: a channel's few weights differ most there."""


def relu6_to_relu(model: onnx.ModelProto) -> int:
    """Turns each Clip from 0 to 6 into a Relu; how many there were."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    changed = 0
    for node in model.graph.node:
        limits = [constants[name].item() for name in node.input[1:3] if name in constants and constants[name].size == 1]
        if node.op_type == "Clip" and limits == [0.0, 6.0]:
            node.op_type = "Relu"
            del node.input[1:]
            changed += 1
    return changed


def setting_for(method: str, target: str, int16: list[str]):
    """What the method changes in the default setting."""
    setting = QuantizationSettingFactory.espdl_setting()
    if method == "mixed":
        for name in int16:
            setting.dispatching_table.append(name, get_target_platform(target, 16))
    if method == "equalized":
        setting.equalization = True
        setting.equalization_setting.iterations = 6
        setting.equalization_setting.value_threshold = 0.5
        setting.equalization_setting.opt_level = 2
        setting.equalization_setting.interested_layers = None
    return setting


def evaluate(executor: TorchExecutor, batches: DataLoader) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in percent."""
    first = five = total = 0
    for images, labels in batches:
        scores = executor(images)[0]
        best = scores.argsort(dim=1, descending=True, stable=True)[:, :5]  # integers often tie
        first += int((best[:, 0] == labels).sum())
        five += int((best == labels[:, None]).any(dim=1).sum())
        total += len(labels)
    return 100 * first / total, 100 * five / total


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path, help="an ONNX file (OUTPUT/mobilenet_v2.onnx, from train.py)")
    options.add_argument("--images", type=Path, help="a folder of pictures (enlarged digits)")
    options.add_argument("--labels", type=Path, help="a CSV with columns file and label")
    options.add_argument("--target", default="esp32s3")
    options.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    options.add_argument("--int16", nargs="+", default=INT16, help="layers of the mixed method")
    options.add_argument("--calibration", type=int, default=64, help="so many of the last pictures calibrate")
    options.add_argument("--test", type=int, help="so many of the first pictures test (400 digits, or all the others)")
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--error-report", action="store_true", help="print the error of each layer")
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_mobilenet"))
    chosen = options.parse_args()

    original = onnx.load(str(chosen.model or chosen.output / "mobilenet_v2.onnx"))
    for value in (*original.graph.input, *original.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    shape = [dim.dim_value for dim in original.graph.input[0].type.tensor_type.shape.dim]
    data = folder(chosen.images, chosen.labels, shape[-1]) if chosen.images else digits()
    samples, test = parts(data, chosen.calibration, chosen.test or (None if chosen.images else TEST))
    calibration = DataLoader(torch.from_numpy(samples), batch_size=1, shuffle=False)
    batches = DataLoader(TensorDataset(*map(torch.from_numpy, test)), batch_size=chosen.batch, shuffle=False)

    for method in chosen.methods:
        folder_out = chosen.output / method
        folder_out.mkdir(parents=True, exist_ok=True)
        model = onnx.ModelProto()
        model.CopyFrom(original)
        if method == "equalized":
            print(f"{relu6_to_relu(model)} ReLU6 became ReLU")
        file = folder_out / "mobilenet_v2.onnx"
        onnx.save(model, str(file))

        start = time.perf_counter()
        graph = espdl_quantize_onnx(
            onnx_import_file=str(file),
            espdl_export_file=str(folder_out / "mobilenet_v2.espdl"),
            calib_dataloader=calibration,
            calib_steps=len(calibration),
            input_shape=shape,
            target=chosen.target,
            num_of_bits=8,
            setting=setting_for(method, chosen.target, chosen.int16),
            device="cpu",
            error_report=chosen.error_report,
            skip_export=False,
            export_test_values=False,
            verbose=0,
        )
        seconds = time.perf_counter() - start
        first, five = evaluate(TorchExecutor(graph=graph, device="cpu"), batches)
        print(
            f"{method}: top-1 {first:.2f} %, top-5 {five:.2f} % of {len(test.labels)}, quantized in {seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
