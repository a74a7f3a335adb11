"""Transformers and detectors in small: the structure that exporters write, with few channels."""

from __future__ import annotations

import numpy as np
import onnx

from tests.e2e.nets.build import Net, model

TOKENS, WIDTH, HEADS = 17, 16, 2


def dense(net: Net, x: str, inside: int, outside: int) -> str:
    """A linear layer over the last dimension, as PyTorch exports it."""
    product = net.op("MatMul", x, net.weights(inside, outside, spread=inside**-0.5))
    return str(net.op("Add", net.weights(outside, spread=0.1), product))


def norm(net: Net, x: str, width: int = WIDTH) -> str:
    scale = net.const(1 + net.rng.standard_normal(width) * 0.1)
    return str(net.op("LayerNormalization", x, scale, net.weights(width, spread=0.1), axis=-1))


def attention(net: Net, x: str, tokens: int, *, causal: bool = False) -> str:
    """Multi-head self-attention with one projection for queries, keys and values: five dimensions on the way."""
    depth = WIDTH // HEADS
    split = net.op("Reshape", dense(net, x, WIDTH, 3 * WIDTH), net.ints(1, tokens, 3, HEADS, depth))
    first = net.op("Transpose", split, perm=[2, 0, 3, 1, 4])
    q, k, v = (net.op("Gather", first, net.const(index, np.int64), axis=0) for index in range(3))
    turned = net.op("Transpose", k, perm=[0, 1, 3, 2])
    scores = net.op("Div", net.op("MatMul", q, turned), net.const(np.sqrt(depth)))
    if causal:
        scores = net.op("Add", scores, net.const(np.triu(np.full((tokens, tokens), -1e9), 1)))
    mixed = net.op("Transpose", net.op("MatMul", net.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return dense(net, str(net.op("Reshape", mixed, net.ints(1, tokens, WIDTH))), WIDTH, WIDTH)


def gelu(net: Net, x: str) -> str:
    """As PyTorch spells it."""
    erf = net.op("Erf", net.op("Div", x, net.const(np.sqrt(2))))
    return str(net.op("Mul", net.op("Mul", x, net.op("Add", erf, net.const(1))), net.const(0.5)))


def swish(net: Net, x: str) -> str:
    return str(net.op("Mul", x, net.op("Sigmoid", x)))


@model
def vision_transformer() -> onnx.ModelProto:
    """Patches, a class token, positions, two blocks, the class token's result."""
    net = Net("vision_transformer", x=(1, 3, 16, 16))
    patches = net.op("Conv", "x", net.weights(WIDTH, 3, 4, 4), net.weights(WIDTH, spread=0.1), strides=[4, 4])
    tokens = net.op("Transpose", net.op("Reshape", patches, net.ints(1, WIDTH, -1)), perm=[0, 2, 1])
    x = net.op("Concat", net.weights(1, 1, WIDTH, spread=0.5), tokens, axis=1)
    x = net.op("Add", x, net.weights(1, TOKENS, WIDTH, spread=0.3))
    for _ in range(2):
        x = net.op("Add", x, attention(net, norm(net, x), TOKENS))
        inner = gelu(net, dense(net, norm(net, x), WIDTH, 4 * WIDTH))
        x = net.op("Add", x, dense(net, inner, 4 * WIDTH, WIDTH))
    chosen = net.op("Gather", norm(net, x), net.const(0, np.int64), axis=1)
    return net.model(dense(net, chosen, WIDTH, 10))


@model
def causal_transformer() -> onnx.ModelProto:
    """One block in which no step sees later ones."""
    net = Net("causal_transformer", x=(1, 12, WIDTH))
    x = net.op("Add", "x", attention(net, norm(net, "x"), 12, causal=True))
    return net.model(norm(net, x))


@model
def conformer() -> onnx.ModelProto:
    """Half a feed-forward step, attention, a gated depthwise convolution along time, the other half."""
    net = Net("conformer", x=(1, 20, WIDTH))

    def half_step(x: str) -> str:
        inner = swish(net, dense(net, norm(net, x), WIDTH, 4 * WIDTH))
        return str(net.op("Add", x, net.op("Mul", dense(net, inner, 4 * WIDTH, WIDTH), net.const(0.5))))

    x = half_step("x")
    x = net.op("Add", x, attention(net, norm(net, x), 20))
    y = net.op("Transpose", norm(net, x), perm=[0, 2, 1])
    y = net.op("Conv", y, net.weights(2 * WIDTH, WIDTH, 1), net.weights(2 * WIDTH, spread=0.1))
    a, b = net.op("Split", y, net.ints(WIDTH, WIDTH), outputs=2, axis=1)
    y = net.op("Mul", a, net.op("Sigmoid", b))
    y = net.op("Conv", y, net.weights(WIDTH, 1, 7), group=WIDTH, pads=[3, 3])
    y = net.op("Conv", swish(net, y), net.weights(WIDTH, WIDTH, 1), net.weights(WIDTH, spread=0.1))
    x = net.op("Add", x, net.op("Transpose", y, perm=[0, 2, 1]))
    return net.model(norm(net, half_step(x)))


@model
def keras_attention() -> onnx.ModelProto:
    """As Keras writes it: Einsum for every projection, with a bias for each head."""
    net = Net("keras_attention", x=(1, 10, WIDTH))
    depth, spread = WIDTH // HEADS, WIDTH**-0.5

    def heads() -> str:
        weights = net.weights(WIDTH, HEADS, depth, spread=spread)
        split = net.op("Einsum", "x", weights, equation="abc,cde->abde")
        return str(net.op("Add", split, net.weights(HEADS, depth, spread=0.1)))

    q, k, v = heads(), heads(), heads()
    scores = net.op("Einsum", k, net.op("Mul", q, net.const(depth**-0.5)), equation="aecd,abcd->acbe")
    mixed = net.op("Einsum", net.op("Softmax", scores, axis=-1), v, equation="acbe,aecd->abcd")
    out = net.op("Einsum", mixed, net.weights(HEADS, depth, WIDTH, spread=spread), equation="abcd,cde->abe")
    return net.model(net.op("Add", "x", out))


def detector() -> onnx.ModelProto:
    """A YOLO11 in small: C3k2, SPPF, attention over a map, two scales, distributions of distances as boxes."""
    net = Net("detector", x=(1, 3, 32, 32))

    def layer(x: str, channels: int, filters: int, kernel: int = 3, stride: int = 1) -> str:
        return swish(net, net.conv(x, channels, filters, kernel, strides=[stride, stride]))

    def halves(x: str, size: int) -> tuple[str, str]:
        first, second = net.op("Split", x, net.ints(size, size), outputs=2, axis=1)
        return first, second

    def c3k2(x: str, channels: int) -> str:
        a, b = halves(layer(x, channels, channels, 1), channels // 2)
        c = net.op("Add", b, layer(layer(b, channels // 2, channels // 4), channels // 4, channels // 2))
        return layer(str(net.op("Concat", a, b, c, axis=1)), 3 * channels // 2, channels, 1)

    def sppf(x: str, channels: int) -> str:
        parts = [layer(x, channels, channels // 2, 1)]
        for _ in range(3):
            parts.append(net.op("MaxPool", parts[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
        return layer(str(net.op("Concat", *parts, axis=1)), 2 * channels, channels, 1)

    def psa(x: str, channels: int, size: int) -> str:
        depth = channels // HEADS
        qkv = net.op("Reshape", net.conv(x, channels, 2 * channels, 1), net.ints(1, HEADS, 2 * depth, size * size))
        q, k, v = net.op("Split", qkv, net.ints(depth // 2, depth // 2, depth), outputs=3, axis=2)
        scores = net.op("MatMul", net.op("Transpose", q, perm=[0, 1, 3, 2]), k)
        shares = net.op("Softmax", net.op("Mul", scores, net.const((depth // 2) ** -0.5)), axis=-1)
        mixed = net.op("MatMul", v, net.op("Transpose", shares, perm=[0, 1, 3, 2]))
        mixed = net.op("Reshape", mixed, net.ints(1, channels, size, size))
        places = net.op("Reshape", v, net.ints(1, channels, size, size))
        kernel = net.weights(channels, 1, 3, 3)
        places = net.op("Conv", places, kernel, group=channels, pads=[1] * 4)
        x = net.op("Add", x, net.conv(str(net.op("Add", mixed, places)), channels, channels, 1))
        return str(net.op("Add", x, net.conv(layer(x, channels, 2 * channels, 1), 2 * channels, channels, 1)))

    fine = c3k2(layer(layer("x", 3, 8, stride=2), 8, 16, stride=2), 16)
    coarse = psa(sppf(layer(fine, 16, 16, stride=2), 16), 16, 4)
    grown = net.op("Resize", coarse, "", net.const([1, 1, 2, 2]), mode="nearest")
    fine = c3k2(layer(str(net.op("Concat", grown, fine, axis=1)), 32, 16, 1), 16)
    flat = []
    for x, size in ((fine, 8), (coarse, 4)):
        boxes, scores = (net.conv(layer(x, 16, 16), 16, filters, 1) for filters in (16, 3))
        flat.append(net.op("Reshape", net.op("Concat", boxes, scores, axis=1), net.ints(1, 19, size * size)))
    boxes, scores = net.op("Split", net.op("Concat", *flat, axis=2), net.ints(16, 3), outputs=2, axis=1)
    bins = net.op("Transpose", net.op("Reshape", boxes, net.ints(1, 4, 4, 80)), perm=[0, 2, 1, 3])
    weighed = net.op("Conv", net.op("Softmax", bins, axis=1), net.const(np.arange(4).reshape(1, 4, 1, 1)))
    near, far = net.op("Split", net.op("Reshape", weighed, net.ints(1, 4, 80)), net.ints(2, 2), outputs=2, axis=1)
    places = [(np.indices((size, size)).reshape(2, -1)[::-1] + 0.5) for size in (8, 4)]
    anchors = net.const(np.concatenate(places, axis=1)[None])
    low, high = net.op("Sub", anchors, near), net.op("Add", anchors, far)
    centre = net.op("Div", net.op("Add", low, high), net.const(2))
    size = net.op("Concat", centre, net.op("Sub", high, low), axis=1)
    decoded = net.op("Mul", size, net.const(np.repeat([4.0, 8.0], [64, 16])[None, None]))
    return net.model(net.op("Concat", decoded, net.op("Sigmoid", scores), axis=1))
