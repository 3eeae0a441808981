"""The CPU convolutions against PyTorch's, to the second derivative."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from triptych.models.layers import conv_kernels, linear
from triptych.models.layers.conv import (
    Conv,
    Down,
    LeakyReLU,
    PlainDown,
    PlainUp,
    Up,
    mean_down,
    nearest_up,
    relu,
    relu_mean_down,
)
from triptych.system.processor import AMX, AVX2, AVX512

GEOMETRIES = [(3, 1, 1), (1, 1, 0), (4, 2, 1), (3, 2, 1)]


def tensor(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("k", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("side", [4, 12])
def test_each_of_the_three_equals_pytorchs(k, stride, padding, side):
    x, w, b = tensor(2, 3, side, side), tensor(5, 3, k, k), tensor(5)
    y = conv_kernels._Conv2d.apply(x, w, b, stride, padding)
    torch.testing.assert_close(y, F.conv2d(x, w, b, stride, padding))
    g = tensor(*y.shape)
    rest = side - (stride * (y.shape[2] - 1) + k - 2 * padding)
    back = conv_kernels._ConvTranspose2d.apply(g, w, tensor(3), stride, padding, (side, side))
    torch.testing.assert_close(back, F.conv_transpose2d(g, w, tensor(3), stride, padding, rest))
    w = w.requires_grad_()
    (expected,) = torch.autograd.grad(F.conv2d(x, w, None, stride, padding), w, g)
    torch.testing.assert_close(conv_kernels._WeightGradient.apply(x, g, stride, padding, k), expected)


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("side", [4, 7, 12])
def test_matrix_products_equal_pytorchs_convolutions(k, side):
    last = {"memory_format": torch.channels_last}
    x, w, b = tensor(2, 3, side, side).to(**last), tensor(5, 3, k, k).to(**last), tensor(5)
    expected = F.conv2d(x, w.requires_grad_(), b, 2, 1)
    torch.testing.assert_close(conv_kernels.im2col_product(x, w.detach(), b), expected.detach())
    g = tensor(*expected.shape).to(**last)
    torch.testing.assert_close(conv_kernels.weight_gradient_product(x, g, k), torch.autograd.grad(expected, w, g)[0])
    if k == 4:
        back = conv_kernels.col2im_product(g, w.detach(), tensor(3))
        torch.testing.assert_close(back, F.conv_transpose2d(g, w.detach(), tensor(3), 2, 1))


@pytest.mark.parametrize(("k", "stride", "padding"), GEOMETRIES)
def test_derivatives_to_the_second_order(k, stride, padding):
    x, w, b = (t.requires_grad_() for t in (tensor(2, 2, 4, 4), tensor(2, 2, k, k), tensor(2)))
    y = tensor(*F.conv2d(x, w, None, stride, padding).shape).requires_grad_()
    cases = [
        (lambda x, w, b: conv_kernels._Conv2d.apply(x, w, b, stride, padding), (x, w, b)),
        (lambda y, w, b: conv_kernels._ConvTranspose2d.apply(y, w, b, stride, padding, (4, 4)), (y, w, b)),
        (lambda x, y: conv_kernels._WeightGradient.apply(x, y, stride, padding, k), (x, y)),
    ]
    for f, inputs in cases:
        assert gradcheck(f, inputs)
        assert gradgradcheck(f, inputs)


@pytest.mark.parametrize("f", [relu, LeakyReLU(), relu_mean_down, mean_down, nearest_up])
def test_rectifiers_and_resampling_to_the_second_order(f):
    x = tensor(2, 3, 4, 6).requires_grad_()
    assert gradcheck(f, (x,))
    assert gradgradcheck(f, (x,))


def test_rectifiers_equal_pytorchs():
    x = tensor(2, 3, 4, 6)
    torch.testing.assert_close(relu(x), F.relu(x))
    torch.testing.assert_close(LeakyReLU()(x), F.leaky_relu(x, 0.2))
    torch.testing.assert_close(relu_mean_down(x), F.avg_pool2d(F.relu(x), 2))


def test_a_convolution_after_enlargement_needs_no_enlargement():
    layer, x = Conv(3, 5, 3).double(), tensor(2, 3, 4, 6)
    torch.testing.assert_close(layer.after_upsampling(x), layer(nearest_up(x)))


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (Conv(3, 16, 3), 8),
        (Down(16, 8), 8),
        (Down(16, 8), 32),
        (Up(8, 16), 4),
        (Up(8, 16), 16),
        (PlainDown(16, 8), 7),
        (PlainDown(16, 8), 8),
        (PlainDown(16, 8), 32),
        (PlainUp(8, 16), 4),
        (PlainUp(8, 16), 16),
    ],
)
def test_bfloat16_gives_float32s_penalty_gradient_up_to_rounding(layer, side):
    """The whole of a gradient penalty's second backward, through the quick layers and through PyTorch's."""
    inputs = (layer if isinstance(layer, PlainDown | PlainUp) else layer.conv).in_channels
    x = torch.randn(6, inputs, side, side)

    def penalty():
        (slope,) = torch.autograd.grad(relu(layer(given)).float().square().sum(), given, create_graph=True)
        return torch.autograd.grad((slope.flatten(1).norm(dim=1) - 1).square().mean(), list(layer.parameters()))

    given = x.clone().requires_grad_()
    exact = penalty()
    with torch.autocast("cpu", torch.bfloat16):
        given = x.clone().requires_grad_()
        rounded = penalty()
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32
        assert (a - b).norm() <= 0.05 * a.norm()


def test_the_penaltys_first_backward_computes_no_weight_gradient(monkeypatch):
    counted = []
    correlate = conv_kernels._WeightGradient.forward
    monkeypatch.setattr(conv_kernels._WeightGradient, "forward", lambda *a: counted.append(1) or correlate(*a))
    layer = Conv(2, 2, 3).bfloat16()
    x = torch.randn(2, 2, 4, 4).bfloat16().requires_grad_()
    (slope,) = torch.autograd.grad(relu(layer(x)).sum(), x, create_graph=True)
    assert not counted
    slope.square().sum().backward(inputs=[layer.conv.weight])
    assert len(counted) == 1


@pytest.mark.parametrize(
    ("layer", "side"),
    [(Conv(3, 16, 3), 8), (Down(16, 8), 8), (Up(8, 16), 4), (PlainDown(16, 8), 7), (PlainUp(8, 16), 4)],
)
def test_float32_in_channels_last_gives_pytorchs_penalty_gradient(layer, side, monkeypatch):
    """What `place` makes of a network goes through the kernels here, up to the order of sums."""
    layer = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    inputs = (layer if isinstance(layer, PlainDown | PlainUp) else layer.conv).in_channels
    x = torch.randn(6, inputs, side, side)
    taken = []
    plain = conv_kernels.has_own_derivatives
    monkeypatch.setattr(conv_kernels, "has_own_derivatives", lambda *of: taken.append(plain(*of)) or taken[-1])

    def penalty():
        given = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(relu(layer(given)).square().sum(), given, create_graph=True)
        return torch.autograd.grad((slope.flatten(1).norm(dim=1) - 1).square().mean(), list(layer.parameters()))

    ours = penalty()
    assert taken == [True]
    monkeypatch.setattr(conv_kernels, "has_own_derivatives", lambda *of: False)
    for a, b in zip(ours, penalty(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("change", [lambda x: x, lambda x: x.double().to(memory_format=torch.channels_last)])
def test_other_layouts_and_precisions_are_pytorchs(change):
    x, w = change(torch.randn(2, 3, 8, 8)), change(torch.randn(4, 3, 3, 3))
    assert not conv_kernels.has_own_derivatives(x, w)


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize(("c", "o", "side"), [(1, 12, 12), (3, 40, 8), (12, 1, 4), (40, 12, 8)])
def test_products_of_onednn_give_float64s_two_derivatives(k, c, o, side, monkeypatch):
    """Every product at once, as a processor has them where oneDNN's are faster, through a penalty."""
    always = conv_kernels.Limits(channels=100)
    monkeypatch.setattr(conv_kernels, "products", lambda dtype: conv_kernels.Products(always, always, always))
    monkeypatch.setattr(linear, "LEAST", 0)
    monkeypatch.setattr(linear, "is_faster", torch.backends.mkldnn.is_available)

    def derivatives(*operands):
        x, w, b, v = (t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in operands)
        given = [t.requires_grad_() for t in (x, w, b)]
        y = conv_kernels._Conv2d.apply(*given, 2, 1).sigmoid_()  # in place, as layers after it may be
        back = conv_kernels._ConvTranspose2d.apply(y * y, w, v, 2, 1, x.shape[2:]) if k == 4 else y
        (slope,) = torch.autograd.grad(back.square().sum(), x, create_graph=True)
        return [y, back, slope, *torch.autograd.grad(slope.square().mean(), given[:2])]

    exact = tensor(3, c, side, side), tensor(o, c, k, k), tensor(o), tensor(c)
    rounded = derivatives(*(t.float() for t in exact))
    for a, b in zip(rounded, derivatives(*exact), strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 1e-5 * b.norm()


@pytest.fixture
def on(monkeypatch):
    """Has the limits of another kind of processor."""

    monkeypatch.setattr(conv_kernels, "products", conv_kernels.products.__wrapped__)  # no memory of this machine's

    def choose(kind, *, own_products=False):
        monkeypatch.setattr(linear, "is_faster", lambda: own_products)
        monkeypatch.setattr(conv_kernels, "of_processor", lambda: kind)
        return conv_kernels.products

    return choose


@pytest.mark.parametrize(
    ("kind", "own", "forward", "few"),
    [(AVX512, False, False, False), (AVX512, True, True, True), (AVX2, False, False, True)],
)
def test_few_channels_go_to_products_where_they_are_faster(kind, own, forward, few, on):
    first, colours, x = torch.empty(128, 1, 4, 4), torch.empty(128, 3, 4, 4), torch.empty(2, 1, 64, 64)
    limits = on(kind, own_products=own)(torch.float32)
    assert conv_kernels.has_own_derivatives(x, first) is few
    assert limits.forward.hold(first, 32 * 32) is forward
    assert limits.weights.hold(first, 32 * 32) is few
    assert limits.transposed.hold(colours, 32 * 32) is few
    assert not limits.forward.hold(colours, 32 * 32)
    assert not limits.weights.hold(colours, 32 * 32)
    in_bfloat16 = conv_kernels.products(torch.bfloat16)
    assert in_bfloat16.weights.hold(first, 32 * 32) is forward
    assert not in_bfloat16.transposed.hold(colours, 32 * 32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_taken_by_shape_and_precision(dtype, on):
    limits, half = on(AMX)(dtype), dtype is torch.bfloat16
    widest, narrow = torch.empty(1024, 512, 4, 4), torch.empty(128, 64, 4, 4)
    assert limits.forward.hold(widest, 16)
    assert limits.weights.hold(widest, 4)
    assert not limits.forward.hold(widest, 64)
    assert limits.transposed.hold(widest, 16) is half
    assert limits.weights.hold(widest, 64) is half
    assert not limits.forward.hold(narrow, 16)
    assert limits.weights.hold(narrow, 16) is half


def test_narrower_layers_go_to_products_where_vectors_are_short(on):
    wide, middle = torch.empty(512, 256, 4, 4), torch.empty(256, 128, 4, 4)
    assert not on(AVX512)(torch.float32).weights.hold(wide, 64)
    limits = on(AVX2)(torch.float32)
    assert limits.weights.hold(wide, 64)
    assert not limits.weights.hold(wide, 256)
    assert not limits.weights.hold(middle, 16)
    assert not limits.forward.hold(wide, 16)
    assert on(AVX512, own_products=True)(torch.float32).weights.hold(middle, 16)
