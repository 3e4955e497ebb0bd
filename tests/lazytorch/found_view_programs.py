"""Programs on which the engine once differed from PyTorch, by what they showed, with views."""

# What random programs found, shrunk.
FOUND_WITH_VIEWS = {
    "a view that reaches outside one of several is refused after a write to the base": """
v0 = torch.tensor([[0.0, 0.25, 0.0], [0.0, -1.0, -2.0]], requires_grad=True)
v2 = v0 * 2
v17, v18 = v2.chunk(2)
v20 = v18.as_strided((1, 2), (2, 1), 0)
v21 = v20[:1]
v2[0] = 3
v22 = v21 * 2
v23 = v20 * 2
v24 = torch.func.jvp(lambda a: a.exp() * a, (v20,), (v20,))[1]""",
    "a copy of what lies in another order is no view": """
v0 = torch.tensor([[0.5, 2.0], [1.0, 3.0]], requires_grad=True)
v1 = v0.t().clone()
seen.append([v1._is_view(), v1.grad_fn.name()])
v1.detach_()
v1.mul_(2)""",
    "a view of an alias that is a leaf": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True).detach()
v0.requires_grad = True
v1 = v0.unsqueeze(0)
v1.add_(1)
(v1 * v0).sum().backward()""",
    "a view that is a leaf of its own": """
v1 = torch.tensor(2.0)
v3 = v1.view(-1)
v3.requires_grad_()
v3.clamp_(-1, 1)""",
    "an empty view reads nothing": """
v1 = torch.tensor(-1.0, requires_grad=True)
v2 = v1.view(-1)
v4 = v1.flatten()
v5 = v4[1:]
v6 = v5 - v2
v10, v11 = v6.chunk(2)
(v97,) = torch.autograd.grad(v11.cos().sum(), [v6], allow_unused=True)
v90, v91 = torch.autograd.grad((v11 * v11).sum(), [v11, v1], allow_unused=True)""",
    "a view that keeps its gradient is written to": """
v0 = torch.tensor([[2.0, 0.0], [0.5, 1.5], [-0.5, 0.0]], requires_grad=True)
v4 = v0.neg()
v3 = v4.flatten()
v4.mul_(2)
v6 = v4.squeeze()
v6.retain_grad()
v6.masked_fill_(v6.detach() > 0, 0.5)
v4.sum().backward(retain_graph=True)""",
    "a view of a view with a hook is written to": """
v0 = torch.tensor([-2.0, 1.5, 0.0], requires_grad=True)
v2 = v0 - v0
v3 = v2.view_as(v2)
v4 = v0 + 0.5
v3.cos().sum().backward(retain_graph=True, inputs=[v4, v3])
v7 = v4.tanh()
v8 = v3[0]
v8.add_(1)
v9 = v7.chunk(2)[0]
v11 = v9 - v8
(v11 * v11).sum().backward(create_graph=True)""",
    "an as_strided view of places outside of its source, which are written to": """
v1 = torch.tensor([[-2.0, 1.0], [0.5, 0.5], [2.0, 1.5]], requires_grad=True)
v2 = v1[2:]
v3 = v2.as_strided((1, 2), (2, 1), 0)
v4 = v1[:2]
with torch.no_grad(): v4.tanh_()
v5 = v3.select(0, 0)
v5.square().mean().backward()
v6 = v5.t()
with torch.no_grad(): v4.tanh_()
v6.square().mean().backward()""",
    "one of several views, that is a leaf of its own": """
v1 = torch.tensor([1.5, 1.0, -0.5])
v2 = v1.unbind(0)[0]
v2.reshape(-1).relu_()
v2.requires_grad_()
v3 = v2.view(-1)
(v2 * v3).sum().backward()
v4 = v1.unbind(0)[1].requires_grad_()
v1.mul_(2)
v5 = v4.view(-1) * 3
v5.backward()
v6, v7 = v1.split(2)
v6.requires_grad_()
v1.mul_(3)
v8 = v6[:1] * v6
v8.sum().backward()""",
    "a view of what NumPy shares is written, recorded, again": """
v0 = torch.tensor(-2.0, requires_grad=True)
v2 = torch.tensor([1.5, 0.5, -2.0]) * 1
v3 = v2.as_strided((2,), (1,))
a0 = v3.detach().numpy()
v3.add_(v0)
v3 += 1.5
v3.square().sum().backward(retain_graph=True)
v4 = v2 * v0
a1 = v4.detach().numpy()
v7 = v4[1:]
v7.retain_grad()
v7.mul_(v0)
v4.sum().backward()""",
    "a copy in its order, made without recording, is no view made so": """
v0 = torch.tensor([[0.5, -2.0], [-2.0, 1.5]], requires_grad=True)
v1 = torch.tensor([[1.5], [0.25]], requires_grad=True)
with torch.no_grad(): v4 = v0.t().clone()
seen.append([v4.requires_grad, v4.is_leaf, v4._is_view(), v4.stride()])
v4.add_(v1)
v4.square().sum().backward()
with torch.no_grad(): v5 = v0.t().clone()
v5.requires_grad_()
v6 = v5[0] * 3
v6.sum().backward()
with torch.no_grad(): v5.mul_(2)
v5.square().sum().backward()
with torch.inference_mode(): v7 = v0.t().clone()
seen.append(v7.is_inference())
v8 = v7 * 2
v7.add_(1)
v9 = v7 * v0
v10 = v0.detach().t().clone()
v10[0] = v1[0]
v10.sum().backward()
with torch.no_grad(): v11 = v0.t().clone()
v12 = v11[0]
v12.mul_(v1[0])
v11.square().sum().backward()
v11.detach_()""",
    "a view that reaches outside one of several is one of them": """
v0 = torch.tensor([[1.0, -0.5, -1.0], [-0.5, 1.5, -2.0]], requires_grad=True)
v1, v2 = v0.chunk(2)
v3 = v2.as_strided((1, 2), (2, 1), 0)
v4 = torch.tensor([[-1.0], [0.25]])
v3.sub_(v4)
v3.as_strided((1, 2), (2, 1), 0).sub_(v4, alpha=0.5)
v3.as_strided((1, 2), (2, 1), 0).sub_(2)
v3[0] = 3""",
    "what has no gradient makes no node of a view that it reads": """
v1 = torch.tensor([[2.0], [-1.0]], requires_grad=True)
v3 = torch.tensor(1.0, requires_grad=True)
v5 = v1.detach().clone()
v6 = v5[:1]
v5[-1] = v3
v6.masked_fill_(v6 > 0, v3)
seen.append((v6 > 0).tolist())
with torch.no_grad(): v7 = v6 * 2
v8 = v6.detach() * 2
v9 = v6.argmax()
seen.append(v6.tolist())
v6.mul_(2)
v10 = v6 * 2
v6.mul_(2)
v5.sum().backward()
v20 = torch.tensor([[0.5, -0.5], [-1.0, 0.0]], requires_grad=True)
v21 = torch.tensor([[2.0, 3.0]], requires_grad=True)
v23 = v20.detach()
v25 = v23.unsqueeze(-1)
v26 = v23[:1]
v23.sub_(v21, alpha=0.5)
v25 += 1.5
v25.mul_(v26.unsqueeze(-1) > 0)
v25.masked_fill_(v25 > 0, 2.0)
v25.fill_(1)
v25[0] = 2
v25[0].mul_(2)
v26 += 1
v28 = v26 * 3
v26 += 1
v27 = v23[0]
v27.mul_(2)
v23.sum().backward()""",
    "views of what a Parameter was made of are none of it": """
v0 = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
v1 = v0.t()
v2 = torch.nn.Parameter(v0)
v3 = v0[0]
v4 = v1[1]
v5 = v2[0]
(v2 * v1).sum().backward()
(v3 * v4 * v5).sum().backward()
seen.append([v1.numpy().tolist(), v3.grad_fn])
v1.mul_(2)
v3[0] = 5.0
v6 = torch.autograd.grad(v3.sum(), v2)
v7 = v2.square()
v1.add_(1)
v7.sum().backward()
v4.requires_grad_()
(v4 * v2).sum().backward()
with torch.no_grad(): v2.mul_(0.5)
v8 = v1 * v3""",
    "a view of a leaf that is itself a view is one of the base, once that was written to": """
v0 = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
v1 = torch.tensor([0.5, 0.25], requires_grad=True)
v3 = v0[:1]
v3.requires_grad_()
v4 = v3.flatten()
v5 = v3.expand(1, 1, 2)
with torch.no_grad(): v5[..., -1] = 0.25
v6 = v4[1:]
v7 = v3.flatten()
(v4 * v6 * v7).sum().backward()
v5.sum().backward()
v4.requires_grad
v8 = v0.view(-1)[:2]
v8.requires_grad_()
v9 = v8[1:]
v0.mul_(2)
(v9 * v9).sum().backward()
v10 = v0.detach()
v10.requires_grad_()
v11 = v10[0]
v0.detach().mul_(2)
v11.sum().backward()""",
    "a write to a view of a leaf is refused before the shapes are compared": """
v0 = torch.tensor([[1.5, 1.0, 1.5], [-0.5, 2.0, -1.0]])
v2 = torch.stack([v0, v0])[0]
v2.requires_grad = True
v2.t().mul_(v0)
v2.flatten().copy_(v0.clone())
v2[0][:] = torch.ones(7)
v3 = v0.detach()
v3.requires_grad_()
v3[0].add_(torch.ones(7))""",
    "a view of a view made without recording is refused once that was written to": """
v1 = torch.tensor([[0.25], [1.5]], requires_grad=True)
v2 = v1 + -1
with torch.no_grad(): v3 = v2.narrow(-1, 0, 1)
v4 = v3[..., ::2]
v3.detach().mul_(0.5)
v5 = v4[torch.tensor([0])]
with torch.no_grad(): v6 = v4 * 2
v7 = torch.tensor([1.0, 2.0])
with torch.no_grad(): v8 = v7[:1]
v8.requires_grad_()
v9 = v8.view(-1)
v7.mul_(2)
v10 = v9 * 2
v8.sum().backward()""",
    "a view made without recording collects a gradient where it is asked to": """
v0 = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
with torch.no_grad(): v1, v2 = v0[:2], v0[1:]
(v1 * v2).sum().backward()
v1.requires_grad_()
v2.requires_grad = True
v2.requires_grad_(False)
v3 = v1[:1] * v2
(v3 * v1).sum().backward()
v0.detach().mul_(2)
v4 = v1 * 2""",
    "a view that keeps its gradient is a new value, once its memory was written to elsewhere": """
v1 = torch.tensor([[-1.0, -2.0, 0.5], [-0.5, -1.0, 0.25]], requires_grad=True)
v2 = v1.clone()
v8, v9 = v2[:1], v2[1:]
v8.retain_grad()
v9.mul_(2)
v15 = v8[..., 0]
v17 = torch.autograd.grad(v15.sum(), [v2], retain_graph=True)[0] + 0
v9.mul_(v1[0])
v16 = v15.view(-1) * 3
v2.sum().backward(retain_graph=True)
v16.sum().backward()""",
    "a view that was written to without a history has no node by that": """
v0 = torch.tensor([[0.5, 1.0], [-0.5, 0.0]], requires_grad=True)
v1 = v0.detach()
v2 = v1.t()
v2.fill_(0.75)
v1 -= v0 * 2
v2.div_(v2)""",
    "a view that is a leaf is a view again when its base is given a history": """
v0 = torch.tensor(3.0, requires_grad=True)
v1 = torch.ones(4)
v2 = v1[:3]
v2.requires_grad_()
v3 = v2[:1]
v1.mul_(2)
seen.append([v2.is_leaf, v3.is_leaf])
v1.mul_(v0)
seen.append([v2.is_leaf, v3.is_leaf])
(v2 * v3).sum().backward()
v2[1:].mul_(v0)
v1.sum().backward()""",
    "a view made under no_grad requires a gradient as long as its base does": """
v1 = torch.tensor([[-0.5, 0.25], [0.25, 2.0]], requires_grad=True)
v3 = v1 + v1
with torch.no_grad(): v4 = v3[0]
v5 = v4 * v1
v3.detach_()
v6 = v4[:1] * 2
v4.mul_(2)
v3.requires_grad_()
v7 = v4.exp() * v3
v7.sum().backward()""",
    "what an operation in place made of a view of detach() is overwritten": """
v1 = torch.tensor([-2.0, 0.25, 1.0])
v2 = v1.view(3, 1).detach()[:, 0]
v2.copy_(torch.tensor([-1.0, -2.0, 1.5], requires_grad=True))
v2.relu_()
v3 = v2 * 1
v2.mul_(3)
v3.sum().backward()""",
    "what roll gives is no view": """
v0 = torch.tensor([[0.25, -0.5], [1.0, 2.0]], requires_grad=True)
v1 = v0.roll(1)
v2 = v0.roll(3)
v2.detach_()
(v1 * v2).sum().backward()""",
    "a view in place is a write, after which it is written to as before": """
v0 = torch.tensor([[2.0], [0.5]], requires_grad=True)
v1 = v0 * 2
v1.t_()
v1.mul_(v1)
v1.sum().backward()
v2 = v0.exp()
v2.unsqueeze_(0)
v2.sum().backward()""",
    "a recorded write to a view of what detach() gave of a view gives that a history": """
v0 = torch.tensor([[0.5], [2.0]], requires_grad=True)
v1 = torch.tensor([3.0], requires_grad=True)
v2 = torch.stack([v0, v0])[0].detach()
v2.view(-1).div_(v1 * v1)
v2.sum().backward()""",
    "a view is refused before it is read to be written to itself": """
v0 = torch.tensor([1.0, 1.5, 0.0])
v1 = torch.tensor([-0.5, 1.0, -1.0], requires_grad=True)
v2 = v0[::2]
v0 -= v1
v2.copy_(v2)""",
    "what became a view in place keeps the gradient of what it was": """
v0 = torch.tensor([[-2.0], [-1.0]], requires_grad=True)
v1 = v0.sin()
v1.retain_grad()
v1.squeeze_()
v2 = torch.autograd.grad(v1.sin().sum(), v1, retain_graph=True)[0] + 0
v1.sin().sum().backward()""",
    "what NumPy shares becomes a view in place": """
v0 = torch.tensor([[0.25, 0.0, -1.0], [1.5, 0.0, 1.5]], requires_grad=True)
v1 = v0 * 2
b0 = v1.detach().numpy()
v1.unsqueeze_(0)
v2 = v1.abs()
v2.sum().backward()""",
    "a view that reaches out of a view made under no_grad is refused once its base was written": """
v0 = torch.tensor([[0.5, 0.5], [2.0, 1.5]], requires_grad=True)
v1 = v0 * 3
with torch.no_grad(): v2 = v1[-1]
v3 = v2.as_strided((1, 2), (2, 1), 0)
v1 -= v1
v4 = v3.t()""",
    "a view keeps its node where its base was written to through .data": """
v1 = torch.tensor([[-2.0, -1.0], [0.25, -2.0]], requires_grad=True)
v6 = v1[:1]
v9 = v6 * 2
v1.data -= 0.1
seen.append([g.tolist() for g in torch.autograd.grad(v9.cos().sum(), [v1, v6], retain_graph=True)])
v7 = v6[0] * v6.exp()
v6.retain_grad()
(v9.cos() + v7).sum().backward(retain_graph=True)
seen.append([v1.grad.tolist(), v6.grad.tolist()])
with torch.no_grad(): v1.mul_(2)
seen.append(torch.autograd.grad(v9.sum(), [v1, v6], allow_unused=True)[1] is None)""",
    "a computed view keeps its node where it was written to through .data": """
v1 = torch.tensor([[-2.0, -1.0], [0.25, -2.0]], requires_grad=True)
v5 = v1 * 2
v6 = v5[0]
v7 = v6 * 3
v6.data.mul_(2)
v6.retain_grad()
(v7 + v6.exp()).sum().backward()
seen.append(v1.grad.tolist())""",
    "a Function that writes to a view of a view sends its gradient to the base": """
v0 = torch.tensor([[-2.0], [0.0]], requires_grad=True)
v5 = v0.sin()
v7 = v5[..., 0]
v6 = v7[:1]
v12 = v7.relu()
v7.retain_grad()
v7.register_hook(lambda g: seen.append(g.tolist()))
v17 = Double.apply(v6)
(v12 + v6.sin()).sum().backward()
seen.append([v0.grad.tolist(), v7.grad.tolist()])""",
    "what a Function gives back as a view is one, of what that is a view of": """
v0 = torch.tensor([[-2.0, 0.5], [0.5, 1.5]], requires_grad=True)
v1 = v0.tanh()
v2 = Part.apply(v1[0])
seen.append([v2._is_view(), v2._base is v1, v2[0]._base is v1])
v3 = Same.apply(v1)
seen.append([v3._is_view(), v3._base is v1])
with torch.no_grad(): v4 = Same.apply(v1.detach())
seen.append([v4._is_view(), v4.requires_grad, Same.apply(v0.detach())._is_view()])
v2.detach_()
v3.detach_()
v4.detach_()""",
    "what several gradients read is saved also where nobody collects one": """
v0 = torch.tensor([-1.0, 2.0], requires_grad=True)
v1 = v0 * 1
with torch.inference_mode(): v2 = v1.clone()
with torch.no_grad(): v3 = v1.view(-1)
v4 = v2 * v3
v5 = torch.maximum(v2, v3)
v6 = v3 / v2
v7 = v2 / v3
v8 = torch.nn.functional.mse_loss(v3, v2)""",
}
