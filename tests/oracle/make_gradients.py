#!/usr/bin/python3
"""Golden numbers of PyTorch's gradients of convolutions, pools and normalisations: writes tests/golden/gradients.h. Needs
python3-torch; run by hand, the file is committed.

usage: make_gradients.py | clang-format > tests/golden/gradients.h

Element i of operand k is ((7 i + 3 i^2 + 13 k) mod 23 - 11) / 8 + i / 512, without the last term where there shall be ties; of
the gradient that comes in, ((5 i + 3) mod 7 - 3) / 2. Of n elements every ((n + 39) / 40)th is printed, in float64."""
import torch
import torch.nn.functional as F


def operand(k, shape, ties=False):
    n = torch.Size(shape).numel()
    v = [((7 * i + 3 * i * i + 13 * k) % 23 - 11) / 8 + (0 if ties else i / 512) for i in range(n)]
    return torch.tensor(v, dtype=torch.float64).reshape(shape).requires_grad_()


def print_every(name, t):
    v = t.flatten().tolist()
    v = v[:: (len(v) + 39) // 40]
    print("static const double golden_%s[] = {%s};" % (name, ", ".join("%.12g" % x for x in v)))


def case(name, shapes, f, ties=False):
    x = [operand(k, s, ties) for k, s in enumerate(shapes)]
    y = f(*x)
    n = y.numel()
    y.backward(torch.tensor([((5 * i + 3) % 7 - 3) / 2 for i in range(n)], dtype=torch.float64).reshape(y.shape))
    for k, v in enumerate(x):
        if v.grad is not None:
            print_every("%s_%d" % (name, k), v.grad)


print("/* Made by tests/oracle/make_gradients.py with PyTorch %s. */" % torch.__version__.split("+")[0].split("a")[0])
case("conv", [(2, 4, 7, 6), (6, 2, 3, 2), (6,)], lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2), 2))
case("conv1d", [(2, 3, 9), (4, 3, 4), (4,)], lambda x, w, b: F.conv1d(x, w, b, 3, 2))
case("conv3d", [(1, 2, 3, 4, 5), (3, 2, 2, 2, 3)], lambda x, w: F.conv3d(x, w, None, (1, 2, 1), (1, 0, 1)))
case("depthwise", [(2, 5, 5, 6), (5, 1, 3, 3)], lambda x, w: F.conv2d(x, w, None, 2, 1, 1, 5))
case("transposed", [(2, 4, 3, 4), (4, 3, 3, 2), (6,)],
     lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2), 2, (1, 2)))
case("max_pool", [(2, 3, 7, 6)], lambda x: F.max_pool2d(x, (3, 2), (2, 2), (1, 1), (1, 2), ceil_mode=True), True)
case("global_max_pool", [(2, 5, 4, 6)], lambda x: F.adaptive_max_pool2d(x, 1), True)
case("reduce_prod", [(6, 7)], lambda x: x.prod(1), True)
case("average_pool", [(2, 3, 7, 6)], lambda x: F.avg_pool2d(x, (3, 2), (2, 3), (1, 0), True, False))
case("average_pool_pads", [(2, 3, 7, 6)], lambda x: F.avg_pool2d(x, (3, 4), (2, 3), (1, 2), True, True))
case("global_average_pool", [(2, 3, 3, 4)], lambda x: F.adaptive_avg_pool2d(x, 1))

mean, variance = operand(3, (3,)).detach(), operand(4, (3,)).detach().abs() + 0.5
running = [mean.clone(), variance.clone()]
case("batchnorm_train", [(4, 3, 3, 2), (3,), (3,)],
     lambda x, s, b: F.relu(F.batch_norm(x, running[0], running[1], s, b, True, 0.25, 1e-3)))
print_every("running_mean", running[0])
print_every("running_variance", running[1])
case("batchnorm_residual", [(4, 3, 3, 2), (3,), (3,), (1,), (1,), (4, 3, 3, 2)],
     lambda x, s, b, p, q, r: F.relu6(F.batch_norm(x, None, None, s, b, True, 0.25, 1e-3) + r))
case("batchnorm_fixed", [(4, 3, 3, 2), (3,), (3,)], lambda x, s, b: F.batch_norm(x, mean, variance, s, b, False, 0, 1e-3))
case("instance_norm", [(2, 3, 5, 2), (3,), (3,)], lambda x, s, b: F.instance_norm(x, None, None, s, b, eps=1e-3))
case("layer_norm", [(2, 4, 3, 5), (3, 5), (3, 5)], lambda x, s, b: F.layer_norm(x, (3, 5), s, b, 1e-3))
case("lrn", [(2, 7, 3, 2)], lambda x: F.local_response_norm(x, 5, 0.75, 0.6, 1.5))
