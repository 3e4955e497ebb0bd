"""Programs on which the engine once differed from PyTorch, by what they showed: graphs, views and
writes. Those in which Python takes part in backward are in found_python_programs.py."""

# What random programs found, shrunk.
FOUND = {
    "what is known of a Function's result stands for no other value that is gone": """
v0 = torch.tensor([[-2.0, 1.5], [1.0, 0.0]], requires_grad=True)
v2 = v0.relu()
v5, other = Signs.apply(v2)
v6 = v0 - v5
seen.append(torch.autograd.grad(v6.cos().sum(), v2)[0].tolist())
v10 = v5.neg()
v11 = v0.detach()
(v11 * v10).sum().backward()
seen.append(v0.grad.tolist())
seen.append(v5.tolist())""",
    "what saves nothing is gone through again, though its values are gone": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 + 1
v1.register_hook(lambda g: g * 3)
v2 = ((v1 + 2) + (v1 + 3)).sum()
v3 = (v0.exp() + v1).sum()
v2.backward()
seen.append([v0.grad.tolist(), v2.item()])
del v1
v2.backward()
seen.append([v0.grad.tolist(), v2.grad_fn.next_functions[0][0].name()])
v3.backward()
seen.append([v0.grad.tolist(), v3.item()])
torch.autograd.grad(v3, v0)""",
    "a sum of losses leads to what was freed": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.zeros(())
v2 = (v0 + 1).sum()
v3 = (v0 * v0).sum()
v2.backward()
v3.backward()
v1 = v1 * 0.5 + v2
v4 = v1 + v3
seen.append([v0.grad.tolist(), v1.tolist(), v4.tolist()])
v1.backward()
seen.append(v0.grad.tolist())
seen.append(torch.autograd.grad(v4, v2, retain_graph=True)[0].tolist())
seen.append(torch.autograd.grad(v4, v3, retain_graph=True)[0].tolist())
v4.backward()""",
    "what was freed leads where it led, not to all that was freed with it": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2 = v0.exp().sin().square()
v3 = v1.cos()
v4 = v3.tanh()
(v2 * v4).sum().backward()
seen.append([v0.grad.tolist(), v2.tolist(), v4.tolist()])
torch.autograd.grad(v2.sum(), [v1], allow_unused=True)
torch.autograd.grad(v2.sum(), [v3], allow_unused=True)
torch.autograd.grad(v4.sum(), [v3], allow_unused=True)
v2.sum().backward(inputs=[v1])
v2.sum().backward(inputs=[v0])""",
    "a way through what was freed is refused beside one that was not": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.sin()
v2 = v1 * v1
v2.sum().backward()
seen.append([v0.grad.tolist(), v2.tolist()])
v3 = v2 + v0
torch.autograd.grad(v3.sum(), v0)
torch.autograd.grad(v3.sum(), [v0, v1], allow_unused=True)
v3.sum().backward(inputs=[v0])
v4 = v0 * 1
v5 = v0.exp() * v4
v6 = torch.autograd.grad(v5.sum(), v4, create_graph=True)[0]
v7 = torch.autograd.grad((v6 * v6).sum(), v0)[0]
seen.append(v7.tolist())
torch.autograd.grad((v6 + v0).sum(), v0)""",
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
    "a gradient is pending while a later backward frees the graph": """
v0 = torch.tensor(-0.5, requires_grad=True)
v1 = v0.clone() * 3
v2 = torch.autograd.grad((v1 * v1).sum(), v0, retain_graph=True)[0] + 0
(v1 * v1).sum().backward()
seen.append(v0.grad.tolist())""",
    "backward(inputs=) checks what made its targets": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.clone()
v2 = v1.cos()
v1.mul_(3)
(v2 * 1).sum().backward(inputs=[v2])""",
    "the gradient of a quadratic's gradient requires none": """
v0 = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
v1 = torch.autograd.grad((v0 * v0).sum(), v0, create_graph=True)[0]
v2 = torch.autograd.grad((v0 @ v0 - v0 * v0.mean()).sum(), v0, create_graph=True)[0]
v3 = torch.autograd.grad((v0 * v0 * v0).sum(), v0, create_graph=True)[0]
v4 = torch.autograd.grad(v0.square().sum(), v0, create_graph=True)[0]
v5 = torch.autograd.grad((v0 * v0).sum(), v0, create_graph=True)[0]
v1.backward(torch.ones_like(v1), create_graph=True)
v6 = torch.autograd.grad(v2.sum(), v0, create_graph=True)[0]
v7 = torch.autograd.grad(v3.sum(), v0, create_graph=True)[0]
v8 = torch.autograd.grad(v4.sum(), v0, create_graph=True)[0]
v9 = torch.autograd.grad(v5.sum() * v0.sum(), v0, create_graph=True)[0]
v10 = torch.autograd.grad(v7.sum(), v0)[0]""",
    "a leaf again, that was detached in place": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0.relu()
v1.detach_()
v1.requires_grad = True
(v1 * v1).sum().backward()""",
    "a gradient is kept through a write that is not recorded": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0.abs()
v1.retain_grad()
v2 = v1 * 2
v1.detach().relu_()
v2.sum().backward(retain_graph=True)
v3 = v1 * 3
(v2 + v3).sum().backward()""",
    "a quotient's gradient does not read it": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0 / (v0 * 2)
v2 = v0 - v0
v2.div_(v0)
v1.detach().neg_()
v2.detach().neg_()
(v1 + v2).sum().backward()""",
    "a copy of what lies in another order is no view": """
v0 = torch.tensor([[0.5, 2.0], [1.0, 3.0]], requires_grad=True)
v1 = v0.t().clone()
seen.append([v1._is_view(), v1.grad_fn.name()])
v1.detach_()
v1.mul_(2)""",
    "a recorded write through detach() leaves the leaf a leaf": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2 = v0.detach()
v2 += v1
(v2 * v2).sum().backward()""",
    "a part of a detached alias is written, recorded": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.detach()
v1[0] = v0[1] * 3
(v1 * v1).sum().backward()""",
    "a tracked value copied in without recording": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([0.0, 0.0], requires_grad=True)
with torch.no_grad(): v1.copy_(v0 * v0)
(v1 * v0).sum().backward()""",
    "NumPy memory under a pending read": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 + 0.5
v2 = v0.detach().clone()
a0 = v0.detach().numpy()
v0.detach().fill_(0.75)""",
    "NumPy memory of a value that gradients pass": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 * v0
v1.retain_grad()
a0 = v1.detach().numpy()
v2 = torch.autograd.grad(v1.sum(), v1, retain_graph=True)[0] + 0
(v1 * 2).sum().backward()""",
    "grad() of a leaf that NumPy shares": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
a0 = v0.detach().numpy()
v1 = torch.autograd.grad((v0 * v0 * v0).sum(), v0, create_graph=True)[0]""",
    "grad() visits no more than it is asked for": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.tanh()
v2 = v1 - 0.5
v1.detach().sigmoid_()
v3 = torch.autograd.grad(v2.square().sum(), v2)[0] + 0""",
    "an operation in place keeps its own input": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 + v0
v1.clamp_(-1, 3)
v1.cos_()
v1.square().mean().backward()""",
    "requires_grad_() does not reach back": """
v0 = torch.tensor([1.0, 2.0])
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2 = v0 * v1
seen.append(v2.tolist())
v0.requires_grad_()
v2.sum().backward()""",
    "a leaf that requires no gradient any more": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.clone()
v0.data.sigmoid_()
v0.requires_grad_(False)
v1.sum().backward()""",
    "detach_() of an alias": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.data
v1.detach_()""",
    "detach_() of what NumPy shares": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
a0 = v0.detach().numpy()
v0.detach_()
v1 = v0 * v0""",
    "a leaf copied onto itself": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v0.copy_(v0)
with torch.no_grad(): v0.copy_(v0)""",
    "a view of an alias that is a leaf": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True).detach()
v0.requires_grad = True
v1 = v0.unsqueeze(0)
v1.add_(1)
(v1 * v0).sum().backward()""",
    "the gradient of a value is kept, a part of which was written": """
v1 = torch.tensor([[1.0, 1.0], [-2.0, -1.0]], requires_grad=True)
v2 = v1 - v1
v2.retain_grad()
v2[..., ::2] = 0.25
v2.square().mean().backward(retain_graph=True)""",
    "a view that is a leaf of its own": """
v1 = torch.tensor(2.0)
v3 = v1.view(-1)
v3.requires_grad_()
v3.clamp_(-1, 1)""",
    "a freed graph that was computed since": """
v0 = torch.tensor(-0.5, requires_grad=True)
v2 = v0.sin()
seen.append(torch.autograd.grad(v2.sum(), v0)[0].tolist())
v3 = torch.autograd.grad(v2, v0)[0]""",
    "the flag of what is computed": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 * 2
v1.requires_grad = True""",
    "a value copied into a part keeps its own versions": """
v1 = torch.tensor([[1.5, 0.25], [-1.0, -2.0]], requires_grad=True)
v2 = v1[-1]
with torch.set_grad_enabled(False): v3 = v1.neg()
v3[..., 0] = v2
v3[torch.tensor([0])] = 0.25
torch.autograd.backward([(v2 * v2).sum(), (v3 * v3).sum()], create_graph=True, inputs=[v2, v1])""",
    "a tracked value copied through .data stays its owner's": """
v0 = torch.tensor([[1.0, 1.5], [1.5, 1.0]], requires_grad=True)
v1 = torch.tensor([[-1.0], [0.0]])
v2 = v1 - v0
v3 = v0.sin()
v2.data.copy_(v3)
v2.zero_()
v3.cos().sum().backward()""",
    "an operand that nobody collects a gradient for is not saved": """
v0 = torch.tensor([[0.25, -0.5], [0.0, 2.0]], requires_grad=True)
v1 = torch.tensor([-2.0, 0.5, 0.0], requires_grad=True)
v3 = v1.sigmoid()
v4 = torch.autograd.grad((v0 * v0 * v0).sum(), v0, create_graph=True)[0]
v6, v7 = v3.chunk(2)
v8 = v7.detach()
with torch.no_grad(): v9 = v7.unbind(0)[0]
v4.addcmul_(v9, v9)
v8.detach().fill_(0.75)
v12 = v4[v4 > -9]
v15 = v12.sin()
(v15 * v15).sum().backward(create_graph=True)""",
    "a leaf before and after a write that was not recorded": """
v1 = torch.tensor([0.25, 1.0, -1.0], requires_grad=True)
v2 = torch.stack([v1, v1])
v1.detach().fill_(0.75)
v3 = v1[torch.tensor([0])]
v4 = v2 - v3
v90, v91 = torch.autograd.grad(v4.sum(), [v1, v2], materialize_grads=True)""",
    "an empty view reads nothing": """
v1 = torch.tensor(-1.0, requires_grad=True)
v2 = v1.view(-1)
v4 = v1.flatten()
v5 = v4[1:]
v6 = v5 - v2
v10, v11 = v6.chunk(2)
(v97,) = torch.autograd.grad(v11.cos().sum(), [v6], allow_unused=True)
v90, v91 = torch.autograd.grad((v11 * v11).sum(), [v11, v1], allow_unused=True)""",
    "a single operand is saved, though nobody collects its gradient": """
v0 = torch.tensor([[2.0], [0.25]], requires_grad=True)
v2 = v0 - v0
with torch.no_grad(): v5 = v2[0]
v11 = v5.tanh()
v11.detach().tanh_()
v11.backward(create_graph=True)""",
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
    ".data of a computed tensor": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0.tanh()
v1.data = torch.tensor([3.0, 4.0])
(v1 * v1).sum().backward()""",
    "a product's gradient depends on what was read for it": """
v0 = torch.tensor([[0.25, -1.0], [0.5, 1.0]], requires_grad=True)
v1 = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
v2 = torch.where(v0 > 0, v0, v1)
v2.addcmul_(v1, v1)
v2.fill_(0.75)
v2.square().mean().backward(create_graph=True)""",
    "of two refusals the later call's": """
v1 = torch.tensor([[-0.5, -0.5], [0.5, -2.0], [-2.0, 1.0]], requires_grad=True)
v2 = v1 * v1
v4 = v2.cos()
v5 = v2[torch.tensor([0])]
v2.index_add_(0, torch.tensor([0]), v2[:1] * 2)
torch.autograd.backward([v5.square().mean(), v2.square().mean()], inputs=[v1, v4])
(v2 * v4).sum().backward()""",
    "an inference tensor is written before that is refused": """
v1 = torch.tensor([-2.0, 1.0, -1.0])
with torch.inference_mode(): v2 = v1.clone()
v2.tanh_()
v3 = v2.detach()
v3.mul_(2)""",
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
    "what a derivative was taken by is written to later": """
v1 = torch.tensor([[-1.0, 2.0], [-1.0, 0.5]], requires_grad=True)
v2 = torch.func.grad(lambda a, y=2: (a.sin() * y).sum())(v1[0])
v3 = torch.func.grad(lambda a, y=2: (a * y).sum())(v1[1])
v1.detach().square_()
v3.sum().backward()
v2.sum().backward()""",
    "second derivatives of an absolute value are constant": """
v0 = torch.tensor([0.5, 0.0, -0.5], requires_grad=True)
v1 = torch.autograd.grad(v0.abs().sum(), v0, create_graph=True)[0] + 0
v2 = torch.autograd.grad((v1 * v1).sum(), v0, create_graph=True)[0] + 0
v3 = v0.relu()
v4 = torch.autograd.grad((v3 + v3.abs()).sum(), v0, create_graph=True)[0] + 0
v5 = torch.autograd.grad((v4 * v4).sum(), v0, create_graph=True)[0] + 0
v6 = torch.autograd.grad((v4 * v1).sum(), v0, create_graph=True)[0] + 0""",
    "what a gradient saves for the inputs that it is computed for": """
v0 = torch.tensor(-2.0, requires_grad=True)
v1 = torch.tensor([[-1.0], [0.0]], requires_grad=True)
v2 = v1 + v0
v2.lerp_(v1, 0.5)
v3 = v2.addcmul(torch.ones(2, 1), torch.ones(2, 1)).tril()
v4 = v3.addcdiv(v1.detach(), torch.ones(2, 1))
v5 = torch.autograd.grad(v3.sum(), v1)[0] + 0
v3.sum().backward()
v6 = torch.autograd.grad(v4.sum(), v3)[0] + 0
v4.sum().backward()""",
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
    "a value whose .data was replaced is found where it was used before": """
v1 = torch.tensor([1.0, -2.0, 1.5], requires_grad=True)
v2 = v1 - v1
v4 = torch.stack([v2, v2])[0]
v2.data = v4.detach().clone()
v9 = torch.autograd.grad(v4.square().mean(), v2, create_graph=True, retain_graph=True)[0] + 0
v5 = v2 * v4
v6 = torch.autograd.grad(v5.sum(), v2, retain_graph=True)[0] + 0
v2.retain_grad()
v2.sum().backward()""",
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
    "a gradient of what was overwritten with a constant": """
v0 = torch.tensor([[-2.0, -0.5]], requires_grad=True)
v1 = torch.tensor([[1.0, 2.0]], requires_grad=True)
v3 = torch.autograd.grad(v0.square().mean(), [v0], create_graph=True)[-1] + 0
v3.zero_()
v10 = torch.autograd.grad(v3.sum(), [v0], create_graph=True)[-1] + 0
v10.sum().backward(retain_graph=True)
v4 = v0 * v1
v4.fill_(0.5)
v5 = torch.autograd.grad(v4.sum(), v0, create_graph=True)[0] + 0
v5.sum().backward()
v6 = v0.exp() * v1
v6.data.mul_(2)
v6.copy_(v1)
w7 = torch.autograd.grad(v6.square().sum(), [v0, v1], create_graph=True)
v8 = w7[0] + w7[1]
v8.sum().backward()""",
    "an inner value below what was freed is asked for": """
v0 = torch.tensor([1.0, -2.0], requires_grad=True)
v1 = v0 * 3
v2 = v1.cos()
v3 = v2.abs()
seen.append(torch.autograd.grad((v3 * v3).sum(), [v2])[0].tolist())
torch.autograd.grad(v3.sum(), [v2], allow_unused=True)
torch.autograd.grad(v3.sum(), [v1], allow_unused=True)
v4 = torch.stack([v0, v0])
v5 = v4.abs()
seen.append(torch.autograd.grad((v5 * v5).sum(), v0)[0].tolist())
torch.autograd.grad(v5.sum(), [v1, v4], allow_unused=True)
seen.append(torch.autograd.grad(v5.sum(), v1, allow_unused=True))""",
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
    "powers that are known still save their base": """
v0 = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
v1 = v0.pow(1)
v1.sum().backward()
v1.sum().backward()
v2 = v0 ** 0
v2.sum().backward()
v2.sum().backward()
v3 = v0 * 2
v4 = v3.pow(1.0)
v3.mul_(2)
v4.sum().backward()
v5 = v0 * 2
v5.pow_(1)
v6 = torch.autograd.grad(v5.sum(), v0, create_graph=True)[0]
v6.sum().backward()
v6.sum().backward()
v7 = torch.autograd.grad((v0 ** 0).sum(), v0, create_graph=True)[0]""",
    "what replaces a slice is one node, which saves nothing": """
v0 = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], requires_grad=True)
v1 = torch.tensor([1.0, 2.0], requires_grad=True)
v2 = v0.t().slice_scatter(v1[None], 0, 0, 1)
v3 = v0.select_scatter(v1.double(), 1, -1)
v4 = v0.diagonal_scatter(v1, 1)
v5 = v2.t() + v3 + v4
seen.append([x.grad_fn.name() for x in (v2, v3, v4)])
seen.append([v2.stride(), str(v3.dtype)])
v5.sum().backward()
v5.sum().backward()""",
    "what NumPy shares is no longer what it was computed as": """
v0 = torch.tensor([2.0, 1.0], requires_grad=True)
v1 = v0.sin()
b0 = v1.detach().numpy()
v1.mul_(3)
v2 = v0.sin()
v2.add_(1)
v1.sum().backward()
seen.append(v0.grad.tolist())""",
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
    "third derivatives of products read nothing, and are constant": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 2.0], requires_grad=True)
v2 = v0 * v0
v3 = torch.autograd.grad((v2 * v0).sum(), v0, create_graph=True)[0]
v4 = torch.autograd.grad(v3.sum(), v0, create_graph=True)[0]
v5 = torch.autograd.grad(v4.sum(), v0, create_graph=True)[0]
v6 = torch.autograd.grad((v2 * v1).sum(), v0, create_graph=True)[0]
v7 = torch.autograd.grad(v6.sum(), v0, create_graph=True)[0]
v8 = torch.autograd.grad(v7.sum(), v1, create_graph=True)[0]
v9 = torch.autograd.grad((v2 * v2).sum(), v0, create_graph=True)[0]
v10 = torch.autograd.grad(v9.sum(), v0, create_graph=True)[0]
v11 = torch.autograd.grad(v10.sum(), v0, create_graph=True)[0]
v12 = torch.autograd.grad((v2 * v0).sum(), v2, create_graph=True)[0]
v12.sum().backward(create_graph=True)
v0.detach().mul_(2)
v4.sum().backward(create_graph=True)""",
    "third derivatives check what they read": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 * v0
v2 = torch.autograd.grad(v0.sin().sum(), v0, create_graph=True)[0]
v3 = torch.autograd.grad(v2.sum(), v0, create_graph=True)[0]
v4 = torch.autograd.grad((v1 * v1).sum(), v0, create_graph=True)[0]
v5 = torch.autograd.grad(v4.sum(), v0, create_graph=True)[0]
v0.detach().mul_(2)
v3.sum().backward(retain_graph=True)
v5.sum().backward()""",
    "a backward that fails frees what it has passed": """
v0 = torch.tensor([[-0.5, 1.0], [0.5, 0.0], [-0.5, 1.5]], requires_grad=True)
v1 = v0 * v0
v0.detach().div_(2)
v1.unsqueeze(0).exp_()
v1.backward(v1.cos())
v2 = v1.abs()
v2.sum().backward(create_graph=True)
v3 = v0.exp()
v4 = v3.sin()
v5 = v4.sin()
v3.detach().mul_(2)
v6 = torch.autograd.grad(v5.sum(), v0)
v6 = torch.autograd.grad(v5.sum(), v4)
v6 = torch.autograd.grad(v4.sum(), v3)
v6 = torch.autograd.grad(v3.sum(), v0)""",
    "what was freed is refused where backward comes to it": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.sin()
seen.append(torch.autograd.grad((v0 * v1).sum(), v0)[0].tolist())
v2 = v1 * 3
v3 = v2.cos()
v2.detach().neg_()
v4 = torch.autograd.grad(v3.sum(), v0)""",
    "of what a second derivative reads that is refused first which was done last": """
v0 = torch.tensor(1.5, requires_grad=True)
v1 = torch.tensor([[-0.5], [-0.5]])
v2 = v0 + v1
v3 = (v1 * v2).tanh()
v4 = torch.autograd.grad((v3 * v3).sum(), v2, create_graph=True)[0]
v1.mul_(2)
v1.mul_(2)
v3.relu_()
v4.square().mean().backward()""",
    "an alias with a history of its own keeps its gradient through what is written": """
v0 = torch.tensor([[-2.0], [0.25]], requires_grad=True)
v1 = v0 * 2
v1.data = v0.detach().clone()
v1.retain_grad()
v2 = v1[:1]
v2.retain_grad()
v2.mul_(2)
v2.mul_(v2)
v1.mul_(2)
(v2 * v1).sum().backward()
v3 = v0.detach()
v4 = v0 * 3
v3.mul_(v4)
v3.retain_grad()
v3.mul_(2)
v3.sum().backward()""",
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
    "what a leaf that nobody collects was multiplied by is not saved": """
v0 = torch.tensor([2.0, 0.5, -1.0], requires_grad=True)
with torch.no_grad(): v1 = v0.view(3)
v2 = v1 * 1.5
v3 = v0 * v2
v2.square().sum().backward()
v4 = v3.neg()
(v4 * v4).sum().backward()
v2.square().sum().backward()""",
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
    "a copy over what another wrote through detach() sends that zeros": """
v1 = torch.tensor([-2.0, 0.25, 1.0])
v2 = v1.detach()
v3 = v2.reshape(-1)
v4 = torch.tensor(1.0, requires_grad=True)
v5 = torch.tensor([-1.0, -2.0, 1.5], requires_grad=True)
v2.copy_(v5)
v2.copy_(v4)
Part.apply(v3).sum().backward()""",
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
    "a tensor is a limit beside a number where it could be one itself": """
v0 = torch.tensor([0.25, -0.5], requires_grad=True)
v1 = v0.clamp(torch.tensor(0.0), 1.5)
v1.sum().backward()
v0.detach().clamp_(v0, 1.5)""",
    "the Jacobian of a number": """
v0 = torch.tensor(1.5, requires_grad=True)
v1 = torch.func.jacrev(lambda a: a.sin() * a)(v0)
v2 = torch.func.jacfwd(lambda a: a.sin() * a)(v0)
v3 = torch.func.hessian(lambda a: a.sin() * a)(v0)
(v1 * v2 * v3).backward()""",
    "a gradient at a root is what was given": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = v0 * 2
v2 = torch.autograd.grad(v1, [v0, v1], v1.cos())[1] + 0
v3 = torch.autograd.grad(v0, v0, v0.cos())[0]
v3.sum().backward()
v2.sum().backward()""",
    "a view in place is a write, after which it is written to as before": """
v0 = torch.tensor([[2.0], [0.5]], requires_grad=True)
v1 = v0 * 2
v1.t_()
v1.mul_(v1)
v1.sum().backward()
v2 = v0.exp()
v2.unsqueeze_(0)
v2.sum().backward()""",
    "a refused write leaves what it read as it was": """
v0 = torch.tensor([[0.5], [1.5]]).cos()
v1 = v0.t()
v0[1:] = torch.tensor(1.0, requires_grad=True)
import contextlib
with contextlib.suppress(RuntimeError): v1.add_(v1)
v1.sub_(0.5)""",
}
