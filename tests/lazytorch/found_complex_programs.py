"""Programs on complex tensors on which the engine once differed from PyTorch."""

FOUND_WITH_COMPLEX = {
    "a conjugate is a view, written through": """
v0 = torch.tensor([[1 + 2j, 3 - 1j]])
v1 = v0.conj()
v1.mul_(1j)
v1[0, 0] = 5j
v2 = v0.mH
v2.imag.add_(1)
v3 = v1.imag
v3.neg_()
v4 = v3.resolve_neg()
v5 = v1.resolve_conj()
v5.zero_()
v1.numpy()
v3.numpy()
torch.view_as_real(v1)
v1.view(torch.float32)""",
    "a conjugate is differentiated through, and written to": """
v0 = torch.tensor([[1 + 2j, 3 - 1j]], requires_grad=True)
v1 = v0 * 1j
v2 = v1.t().conj()
v2.retain_grad()
v3 = v2.imag
v3.mul_(v3 * 2)
v2.abs().square().sum().backward()""",
    "a conjugate of a leaf is not written to": """
v0 = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
v0.conj().mul_(2)
v0.conj_physical_()
with torch.no_grad(): v0.conj().imag.mul_(2)
v0.detach().conj().real.add_(1)
v0.abs().sum().backward()""",
    "a gradient at a view of another type": """
v0 = torch.tensor([[0.25, 0.25, 0.5], [1.0, -1.0, 0.0]], requires_grad=True)
v1 = torch.tensor([[-0.5], [-1.0]])
v2 = (v0 * 1j).imag
v3 = v2.t() @ v1
v4 = torch.autograd.grad((v3 * v3).sum(), v2, retain_graph=True)[0] + 0
v5 = torch.view_as_complex(torch.stack([v0, v0.sin()], -1))
v6 = v5.t().conj()
v7 = v6[:1].imag
v8 = torch.autograd.grad(v7.square().sum(), v6, retain_graph=True)[0] + 0
v9 = torch.autograd.grad(v7.square().sum(), v5)[0] + 0""",
    "a magnitude's gradient does not read it": """
v0 = torch.tensor([[0.25, 0.5], [1.5, 0.0]], requires_grad=True)
v1 = torch.complex(v0, v0.sin()).abs()
v1.mul_(2)
v1.sum().backward()""",
    "no gradient goes through a view of bits": """
v0 = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
v1 = v0.view(torch.float32)
v1.mul_(2)
v2 = v0.view(torch.complex64)
v2 += 1
v0.abs().sum().backward()""",
    "complex numbers are interpolated": """
v0 = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
v1 = torch.tensor([2j, 1 + 0j], requires_grad=True)
v2 = v0.lerp(v1, 0.25)
v2.lerp_(v0 * v1, 0.75)
v2.abs().sum().backward()""",
    "what complex functions save, and their gradients at 0": """
v0 = torch.tensor([0j, 1 + 2j, 3 - 1j], requires_grad=True)
v1 = v0.sgn()
v1.abs().square().sum().backward(retain_graph=True)
v1.mul_(2)
v1.abs().sum().backward()
v2 = v0.prod()
torch.view_as_real(v2).zero_()
(v2 * v2).abs().sum().backward()
v3 = v0.abs_()
v4 = v0 * 2
v5 = v4.real
v6 = v5 * v0
v4.mul_(2)
v6.abs().sum().backward()""",
    "parts of what overlaps itself": """
v0 = torch.tensor([1.5 - 2j, -1 - 1j], requires_grad=True)
v1 = v0.clone()
v2 = v1.unfold(0, 1, 1)
v3 = v2.mH
v3.retain_grad()
v3.imag.sum().backward(retain_graph=True)
v4 = torch.view_as_real(v2)
v2.retain_grad()
v4[..., 1].square().sum().backward()""",
    "what complex functions save of their inputs": """
v0 = torch.tensor([0.5, 1.5], requires_grad=True)
v1 = torch.tensor([1.0, 2.0])
v2 = v0 * 2
v3 = torch.complex(v2, v1)
v1.mul_(2)
v3.abs().sum().backward(retain_graph=True)
v2.mul_(2)
v3.abs().sum().backward()
v4 = torch.complex(v0, v0).clone()
v5 = v4.reciprocal()
v4.mul_(2)
v5.abs().sum().backward()""",
}
