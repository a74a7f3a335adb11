"""Recurrent layers as ONNX's operators.

Keras computes them step by step. While a model is traced, layers whose cells are Keras' own compute nothing but one
GRU, LSTM or RNN node (https://onnx.ai/onnx/operators/onnx__GRU.html) with their weights; Bidirectional of two of these
is one node too. Others, such as cells of a user, are traced step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

from tinsmith.errors import UnsupportedError
from tinsmith.importers.keras.mending import KERAS2_HARD_SIGMOID

_VERSION = 18
"""The opset that PyTorch's own operators are written in."""
_FLOAT = 1

Weights = tuple[Any, Any, Any]
"""W, R and B of a node."""
Activation = tuple[str, tuple[float, ...], tuple[float, ...]]
"""ONNX's name, and alpha and beta where it has them."""
_ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "sigmoid": ("Sigmoid", (), ()),
        "tanh": ("Tanh", (), ()),
        "relu": ("Relu", (), ()),
        "hard_sigmoid": ("HardSigmoid", (1 / 6,), (0.5,)),
        KERAS2_HARD_SIGMOID: ("HardSigmoid", (0.2,), (0.5,)),
        "elu": ("Elu", (1.0,), ()),
        "softsign": ("Softsign", (), ()),
        "softplus": ("Softplus", (), ()),
    }
)
"""By Keras' name."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """An operator.

    Attributes:
        op_type: Its name.
        order: Places of its gates among those of Keras.
        activations: Attributes of the cell that are its activations, in order.
        states: How many there are.
    """

    op_type: str
    order: tuple[int, ...]
    activations: tuple[str, ...]
    states: int


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "GRUCell": _Kind("GRU", (0, 1, 2), ("recurrent_activation", "activation"), 1),
        "LSTMCell": _Kind("LSTM", (0, 3, 1, 2), ("recurrent_activation", "activation", "activation"), 2),
        "SimpleRNNCell": _Kind("RNN", (0,), ("activation",), 1),
    }
)


def recurrent_covers(keras: ModuleType, torch: ModuleType, layer: Any) -> dict[str, Callable[..., Any]]:
    """What stands in for methods of a recurrent layer while it is traced, by name; nothing for others."""
    known = _Layers(keras, torch)
    if isinstance(layer, keras.layers.Bidirectional) and known.are_a_pair(layer):
        both = known.weights([layer.forward_layer.cell, layer.backward_layer.cell])
        return {"call": lambda *args, **options: known.bidirectional(layer, both, *args, **options)}
    if isinstance(layer, keras.layers.RNN) and known.is_known(layer):
        weights = [known.weights([cell]) for cell in _cells(layer)]
        # Keras draws masks for dropout even where it uses none.
        return {
            "inner_loop": lambda *args, **options: known.inner_loop(layer, weights, *args, **options),
            "_maybe_config_dropout_masks": lambda *args: None,
        }
    return {}


@dataclass(frozen=True, slots=True)
class _Layers:
    keras: ModuleType
    torch: ModuleType

    def kind(self, cell: Any) -> _Kind | None:
        """The operator that computes a cell, if there is one."""
        kind = _KINDS.get(type(cell).__name__)
        if kind is None or type(cell) is not getattr(self.keras.layers, type(cell).__name__):
            return None
        return kind if all(self.activation(getattr(cell, name)) for name in kind.activations) else None

    def activation(self, function: Any) -> Activation | None:
        """An activation as ONNX has it."""
        name = getattr(function, "__name__", "")
        own = function.__module__ == __package__ + ".mending" or function is getattr(self.keras.activations, name, None)
        return _ACTIVATIONS.get(name) if own else None

    def is_known(self, layer: Any) -> bool:
        """Whether a layer is one operator, or several one after the other."""
        own = type(layer).inner_loop.__module__.startswith("keras.")
        return own and all(self.kind(cell) is not None for cell in _cells(layer))

    def are_a_pair(self, layer: Any) -> bool:
        """Whether both directions of a Bidirectional layer fit into one operator."""
        pair = (layer.forward_layer, layer.backward_layer)
        if not type(layer).call.__module__.startswith("keras.") or not all(
            isinstance(one, self.keras.layers.RNN) and self.is_known(one) and len(_cells(one)) == 1 for one in pair
        ):
            return False
        one, other = (each.cell for each in pair)
        return (
            self.kind(one) == self.kind(other)
            and one.units == other.units
            and getattr(one, "reset_after", 0) == getattr(other, "reset_after", 0)
            and (pair[0].go_backwards, pair[1].go_backwards) == (False, True)
            and not any(each.stateful for each in pair)
        )

    def inner_loop(
        self,
        layer: Any,
        weights: Sequence[Weights],
        sequences: Any,
        initial_state: Any,
        mask: Any,
        training: bool = False,
    ) -> Any:
        """`keras.layers.RNN.inner_loop`: last output, outputs in the order they are computed in, states."""
        _refuse_mask(layer, self.keras.tree.flatten(mask))
        cells, given = _cells(layer), self.keras.tree.flatten(initial_state)
        y, states = sequences, []
        backwards = [layer.go_backwards] + [False] * (len(cells) - 1)
        for cell, reverse, own in zip(cells, backwards, weights, strict=True):
            count = self.known(cell).states
            outputs, last = self.node([cell], own, [reverse], y, [[state] for state in given[:count]])
            given = given[count:]
            y = outputs[0].flip(1) if reverse else outputs[0]
            states.append([direction[0] for direction in last])
        packed: Any = states if len(cells) > 1 else states[0]
        return states[-1][0], y, packed

    def bidirectional(
        self,
        layer: Any,
        weights: Weights,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
    ) -> Any:
        """`keras.layers.Bidirectional.call`."""
        _refuse_mask(layer, self.keras.tree.flatten(mask))
        cells = [layer.forward_layer.cell, layer.backward_layer.cell]
        count = self.known(cells[0]).states
        given = self.keras.tree.flatten(initial_state) if initial_state is not None else []
        initial = [[given[place], given[place + count]] for place in range(count)] if given else []
        outputs, last = self.node(cells, weights, [False, True], sequences, initial)
        both = outputs if layer.return_sequences else last[0]
        states = tuple(state[direction] for direction in range(2) for state in last)
        merged: Any = self.merged(layer.merge_mode, both)
        if not layer.return_state:
            return merged
        return (*merged, *states) if layer.merge_mode is None else (merged, *states)

    def merged(self, mode: str | None, both: Any) -> Any:
        """Both directions' results, (2, …, H), as one."""
        if mode == "concat":
            return both.movedim(0, -2).flatten(-2)
        one, other = both[0], both[1]
        if mode == "sum":
            return one + other
        if mode == "ave":
            return (one + other) / 2
        return one * other if mode == "mul" else (one, other)

    def known(self, cell: Any) -> _Kind:
        """The operator of a cell that has one."""
        kind = self.kind(cell)
        assert kind is not None
        return kind

    def node(
        self,
        cells: Sequence[Any],
        weights: Weights,
        reverse: Sequence[bool],
        x: Any,
        initial: Sequence[Sequence[Any]],
    ) -> tuple[Any, list[Any]]:
        """One node.

        Args:
            cells: For each direction.
            weights: Theirs.
            reverse: Whether the direction is from the last step to the first.
            x: (B, T, I).
            initial: States (B, H) by kind and direction; nothing for zeros.

        Returns:
            The outputs (directions, B, T, H), in the order of time; the last states (directions, B, H) by kind.
        """
        kind, units, torch = self.known(cells[0]), cells[0].units, self.torch
        (batch, steps), ways = x.shape[:2], len(cells)
        named = (getattr(cell, name) for cell in cells for name in kind.activations)
        chosen = [found for function in named if (found := self.activation(function)) is not None]
        attributes: dict[str, Any] = {
            "hidden_size": units,
            "direction": "bidirectional" if ways == 2 else ("reverse" if reverse[0] else "forward"),
            "activations": [name for name, _, _ in chosen],
        }
        for number, key in enumerate(("activation_alpha", "activation_beta"), 1):
            if values := [value for one in chosen for value in one[number]]:
                attributes[key] = values
        if kind.op_type == "GRU":
            attributes["linear_before_reset"] = int(cells[0].reset_after)
        states = [torch.stack(list(state)) for state in initial]
        shapes = [(steps, ways, batch, units)] + [(ways, batch, units)] * kind.states
        y, *last = torch.onnx.ops.symbolic_multi_out(
            kind.op_type,
            [x.float().permute(1, 0, 2), *weights, None, *(state.float() for state in states)],
            attrs=attributes,
            dtypes=[_FLOAT] * len(shapes),
            shapes=shapes,
            version=_VERSION,
        )
        return y.permute(1, 2, 0, 3), last

    def weights(self, cells: Sequence[Any]) -> Weights:
        """W (directions, G · H, I), R (directions, G · H, H) and B (directions, 2 · G · H)."""
        w, r, b = zip(*map(self.weights_of, cells), strict=True)
        return self.torch.stack(w), self.torch.stack(r), self.torch.stack(b)

    def weights_of(self, cell: Any) -> Weights:
        """W (G · H, I), R (G · H, H) and B (2 · G · H) with gates in ONNX's order."""
        kind, units, torch = self.known(cell), cell.units, self.torch
        gates = len(kind.order)

        def ordered(rows: Any) -> Any:
            parts = rows.detach().float().reshape(gates, units, *rows.shape[1:])
            return torch.cat([parts[place] for place in kind.order])

        kernel, recurrent = (variable.value for variable in (cell.kernel, cell.recurrent_kernel))
        if cell.bias is None:
            bias = torch.zeros(2, gates * units, device=kernel.device)
        else:
            # A GRU with reset_after has one for the input and one for the state, everything else one for both.
            bias = cell.bias.value.detach().reshape(-1, gates * units)
            bias = torch.cat([bias, torch.zeros_like(bias)])[:2]
        both = torch.cat([ordered(bias[0]), ordered(bias[1])])
        return ordered(kernel.T), ordered(recurrent.T), both


def _cells(layer: Any) -> list[Any]:
    """The cells of a layer, one after the other."""
    if type(layer.cell).__name__ == "StackedRNNCells":
        return list(layer.cell.cells)
    return [layer.cell]


def _refuse_mask(layer: Any, masks: Sequence[Any]) -> None:
    if any(mask is not None for mask in masks):
        raise UnsupportedError(
            "a mask says which steps of the sequence count, and the chip computes all of them.",
            subject=layer.name,
            hint="Take the Masking layer, or mask_zero of the Embedding, out of the model.",
        )
