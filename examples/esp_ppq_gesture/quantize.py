"""A gesture network in int8, in int8 with some layers in int16, and balanced: three folders to choose from.

Run train.py first, or name a model of your own with --model.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from esp_ppq import QuantizationSettingFactory
from esp_ppq.api import espdl_quantize_onnx, get_target_platform
from esp_ppq.executor import TorchExecutor
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from data import SIZE, load

STRATEGIES = ("int8", "mixed", "balanced")


def setting_for(strategy: str, target: str, int16: list[str]):
    """What the strategy changes in the default setting."""
    setting = QuantizationSettingFactory.espdl_setting()
    if strategy == "mixed":
        for name in int16:
            setting.dispatching_table.append(name, get_target_platform(target, 16))
    if strategy == "balanced":
        setting.equalization = True
        setting.equalization_setting.iterations = 4
        setting.equalization_setting.value_threshold = 0.4
        setting.equalization_setting.opt_level = 2
        setting.equalization_setting.interested_layers = None
        setting.quantize_activation_setting.calib_algorithm = "mse"
    return setting


def first_layers(path: Path, count: int) -> list[str]:
    """The first convolutions and the activations behind them, by name."""
    nodes = [node.name for node in onnx.load(str(path)).graph.node if node.op_type in ("Conv", "Clip", "Relu")]
    return nodes[: 2 * count]


def prepared(original: Path, copy: Path) -> Path:
    """A copy with a batch of one: esp-ppq wants it, and it writes over the file it is given."""
    model = onnx.load(str(original))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, str(copy))
    return copy


def evaluate(executor: TorchExecutor, test: DataLoader) -> float:
    """The share of the test set that is right, in percent."""
    right = total = 0
    for images, labels in test:
        scores = executor(images)[0]
        right += int((scores.argmax(dim=1) == labels).sum())
        total += len(labels)
    return 100 * right / total


def predict(executor: TorchExecutor, file: Path) -> tuple[int, float]:
    """The class of one picture and its probability in percent."""
    gray = Image.open(file).convert("L").resize((SIZE, SIZE))
    image = torch.from_numpy(np.asarray(gray, np.float32) / 255).reshape(1, 1, SIZE, SIZE)
    probabilities = torch.softmax(executor(image)[0].float(), dim=1)[0]
    answer = int(probabilities.argmax())
    return answer, 100 * probabilities[answer].item()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path, help="an ONNX file (OUTPUT/gesture_model.onnx, from train.py)")
    options.add_argument("--data", type=Path, help="an .npz with X [N, 96, 96] and y [N] (enlarged digits)")
    options.add_argument("--first-test", type=int, help="the row from which on the data are the test set")
    options.add_argument("--target", default="esp32s3")
    options.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    options.add_argument(
        "--int16", nargs="+", help="layers of the mixed strategy (the first two and their activations)"
    )
    options.add_argument("--calibration", type=int, default=64, help="how many training pictures calibrate")
    options.add_argument("--test", type=int, help="only the first pictures of the test set")
    options.add_argument("--picture", type=Path, help="one picture to predict (the first of the test set)")
    options.add_argument("--output", type=Path, default=Path("output/esp_ppq_gesture"))
    chosen = options.parse_args()
    model = chosen.model or chosen.output / "gesture_model.onnx"

    training, test = load(chosen.data, chosen.first_test)
    calibration = DataLoader(torch.from_numpy(training.images[: chosen.calibration]), batch_size=1, shuffle=False)
    images, labels = (torch.from_numpy(array[: chosen.test]) for array in test)
    batches = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=False)

    for strategy in chosen.strategies:
        folder = chosen.output / f"gesture_model_{strategy}"
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        graph = espdl_quantize_onnx(
            onnx_import_file=str(prepared(model, chosen.output / f"{strategy}.onnx")),
            espdl_export_file=str(folder / "gesture_model.espdl"),
            calib_dataloader=calibration,
            calib_steps=len(calibration),
            input_shape=[1, 1, SIZE, SIZE],
            target=chosen.target,
            num_of_bits=8,
            setting=setting_for(strategy, chosen.target, chosen.int16 or first_layers(model, 2)),
            device="cpu",
            error_report=False,
            export_test_values=True,
            verbose=0,
        )
        seconds = time.perf_counter() - start

        executor = TorchExecutor(graph=graph, device="cpu")
        picture = chosen.picture or folder.parent / "picture.png"
        if chosen.picture is None:
            Image.fromarray((images[0, 0] * 255).round().byte().numpy()).save(picture)
        answer, certainty = predict(executor, picture)
        print(
            f"{strategy}: accuracy {evaluate(executor, batches):.2f} % of {len(labels)}, "
            f"{picture.name} is a {answer} ({certainty:.2f} %), quantized in {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
