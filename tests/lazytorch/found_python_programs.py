"""Programs on which the engine once differed from PyTorch, by what they showed, in which Python
takes part in backward: hooks, Functions, checkpoints."""

# What random programs found, shrunk.
FOUND_WITH_PYTHON = {
    "a Function that comes before a call that is refused raises first": """
v0 = torch.tensor([0.0, -2.0, 0.0], requires_grad=True)
v8 = v0[torch.tensor([0])].sigmoid()
v9 = torch.autograd.grad((v8 * v8 * v8).sum(), v8, create_graph=True)[0]
v12 = Exp.apply(v0[2:].unsqueeze(0))
v12[..., 0] = 0.25
Double.apply(v8)
v16 = v12 + v9
v16.sum().backward(retain_graph=True)
(v9 + v12).sum().backward(retain_graph=True)""",
    "hooks and Functions come in the order of PyTorch's nodes": """
v0 = torch.tensor([1.0, -2.0], requires_grad=True)
v1 = v0.sin()
v2 = v0.cos()
v1.register_hook(lambda g: seen.append(1))
v2.register_hook(lambda g: seen.append(2))
(v1 + v2).sum().backward(retain_graph=True)
(v2 + v1).sum().backward(retain_graph=True)
v3 = Exp.apply(v1)
v4 = Exp.apply(v2)
v3.mul_(2)
v4.mul_(2)
v4.mul_(2)
(v3 + v4).sum().backward(retain_graph=True)
(v4 + v3).sum().backward()""",
    "a Function that wrote to a view is not asked where only None arrives": """
v0 = torch.tensor([0.0, -2.0, 1.0], requires_grad=True)
v1 = torch.tensor(0.25, requires_grad=True)
v2 = v0 * 2
v3 = v2.squeeze()
v6 = v1.sigmoid()
Double.apply(v3)
other, v12 = Sparing.apply(v3, v6)
(v12 * v12).sum().backward(retain_graph=True, inputs=[v0, v12])
(v12 * v12).sum().backward()""",
    "what replaces .data goes on counting its writes": """
v0 = torch.tensor(0.25, requires_grad=True)
v1 = torch.tensor([[0.25, 1.0], [-1.0, -0.5]])
v1[0] = 0.25
v1.data = v1.detach().clone()
v12, other = Both.apply(v0.flatten(), v1)
v1.detach().copy_(v0)
seen.append(v1._version)
v12.backward(v12.cos(), create_graph=True)""",
    "backward(inputs=) runs and frees what made its targets": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = Square.apply(v0)
v2 = v1.cos()
v1.grad_fn.register_hook(lambda gs, g: seen.append([len(gs), g[0].tolist()]))
v2.grad_fn.register_hook(lambda gs, g: seen.append([len(gs), g[0].tolist()]))
(v2 * v2).sum().backward(inputs=[v2], retain_graph=True)
torch.autograd.grad((v2 * v2).sum(), [v2], retain_graph=True)
v1.sum().backward(inputs=[v1], retain_graph=True)
(v2 * v2).sum().backward(inputs=[v2])
v2.sum().backward()""",
    "a hook of a node sees the gradients that are sent on": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2 = v0 * v1
v2.grad_fn.register_hook(lambda gs, g: seen.append([x is None for x in gs]))
v3 = torch.autograd.grad(v2.sum(), v0, retain_graph=True)[0]
v2.sum().backward(inputs=[v1], retain_graph=True)
v2.sum().backward()""",
    "hooks of a single root run though no target is below it": """
v0 = torch.tensor(1.0, requires_grad=True)
v1 = torch.tensor(2.0, requires_grad=True)
v2 = v0.cos()
v2.retain_grad()
v2.grad_fn.register_prehook(lambda g: seen.append(len(g)))
v0.register_hook(lambda g: seen.append(g.tolist()))
v2.register_hook(lambda g: seen.append(g.tolist()))
v0.backward(inputs=[v1])
v2.backward(inputs=[v1])
seen.append(torch.autograd.grad(v0, v1, allow_unused=True))
torch.autograd.backward([v2, v1], inputs=[v1])""",
    "a leaf's hook is called once for all that ask for its gradient": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v0.register_hook(lambda g: seen.append(g.tolist()))
v2, v3, v4 = torch.autograd.grad((v0 * v0 * v1).sum(), [v0, v0, v1])
v2.mul_(2)""",
    "a view keeps its gradient after what it shows was written to": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True) * 2
v1 = v0[:1]
v1.retain_grad()
v1.register_hook(lambda g: seen.append(g.tolist()))
v2 = v1 * 1
v0.detach().mul_(2)
with torch.no_grad(): v3 = v1 * 3
v2.sum().backward(retain_graph=True)
seen.append(v1.grad.tolist())
v4 = v1 * v1
v5 = v1.view(1, 1)
v5.retain_grad()
(v2 + v4 + v5).sum().backward(retain_graph=True)
seen.append(v1.grad.tolist())
v0.mul_(3)
(v1 * v1).sum().backward()""",
    "a gradient as it is before the hooks of the node that it goes on from": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0 + v0
v1.grad_fn.register_prehook(lambda g: (g[0] * 0.5, *g[1:]))
v2, v3, v4 = torch.autograd.grad(v1.sum(), [v1, v0, v1])""",
    "hooks on saved values get the tensor itself": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0])
v2 = v0 * 1
v3 = v0 * 1
with saved_tensors_hooks(lambda x: seen.append(x is v1) or x, lambda x: x): v4 = v0 * v1
with saved_tensors_hooks(lambda x: x.detach(), lambda x: x * 1): v5 = v0.exp()
with saved_tensors_hooks(lambda x: x, lambda x: x): v2.sin_()
with saved_tensors_hooks(lambda x: x, lambda x: x): v3.tanh_()
with saved_tensors_hooks(lambda x: x, lambda x: x): v6 = Square.apply(v1 * v0)
v1.add_(1)
with torch.no_grad(): v2.zero_()
with torch.no_grad(): v3.mul_(3)
with torch.no_grad(): v5.mul_(2)
with saved_tensors_hooks(lambda x: x.add_(1), lambda x: x): v7 = v0.exp()
(v2 + v3 + v4 + v5 + v6).sum().backward()""",
    "the node of a value that was written without recording": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.neg()
with torch.no_grad(): v1.zero_()
seen.append([v1.grad_fn.name(), v1.grad_fn.next_functions[0][0].variable is v0])
v1.grad_fn.register_hook(lambda gs, g: seen.append([g[0].tolist(), gs[0].tolist()]))
v1.sum().backward()""",
    "a view of a view with a hook": """
v0 = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
v1 = v0 * 2
v2 = v1.t()
v2.retain_grad()
v2.register_hook(lambda g: g * 3)
v3 = v2[1:]
v3.square().sum().backward()""",
    "a Function's refused write to a view of a leaf counts": """
v1 = torch.tensor([[-2.0, 2.0], [0.0, -0.5], [2.0, 1.0]], requires_grad=True)
v2 = v1 * v1
v3 = v1.t()
v4 = Double.apply(v3)
v2.sum().backward()""",
    "the second derivative of a product reads no factor": """
v1 = torch.tensor([[0.25, -0.5], [0.5, 2.0], [0.25, -2.0]], requires_grad=True)
v2, other = Signs.apply(v1)
v3 = torch.autograd.grad((v2 * v2).sum(), v1, create_graph=True)[0] + 0
v4 = torch.where(v3 > v2, v3, v2)
v5 = v2.unflatten(0, (1, -1))
v7 = v1 - v4
v5.detach().add_(1.5)
v7.square().mean().backward(retain_graph=True)""",
    "what detach() gives, as a Function's result": """
v0 = torch.tensor([[2.0], [0.5]])
v1 = torch.tensor([-1.0, -1.0, 2.0], requires_grad=True)
v0.requires_grad_()
v3 = Once.apply(v0)
(v3 * v1).sum().backward(create_graph=True)""",
    "requires_grad_() of a pending value does not reach back": """
v0 = torch.tensor(0.0, requires_grad=True)
v1 = torch.tensor([[1.5], [2.0]])
v2 = v0 - v1
v3 = v1 * v1
v4 = v2.unsqueeze(-1).squeeze(-1)
v3[-1] = 0.25
v5 = v4 * v3
v3.requires_grad = True
v4.detach().fill_(0.75)
v6, other = Both.apply(v3, v3)
v5.cos().sum().backward()""",
    "an argument of a checkpoint was written": """
v0 = torch.tensor([-0.5, -2.0, 0.0], requires_grad=True)
v1 = torch.tensor([1.0, 1.5, 2.0], requires_grad=True)
v2 = torch.maximum(v0, v0)
v3, other = Both.apply(v2, v1)
v4 = v3.view(-1)
v7 = v4 * 2
v12 = checkpoint(lambda a: a * a, v4, use_reentrant=False)
v13 = v7.sigmoid()
v3.addcmul_(v13, v13)
v12.cos().sum().backward(retain_graph=True)""",
    "a Function's argument, given back unrecorded": """
v0 = torch.tensor([[-1.0], [2.0]], requires_grad=True)
v1 = torch.tensor([[0.25], [-2.0]])
v2 = v1.square()
v3 = Same.apply(v2)
v4, v5 = v0.tensor_split(2)
v2 *= v4
v16 = v3.flatten()""",
    "a freed Function that saved nothing": """
v1 = torch.tensor([[0.25, -1.0], [0.5, 1.0]], requires_grad=True)
v2 = v1.reshape(-1)
v3, other = Signs.apply(v2)
v92, v93, v94 = torch.autograd.grad(v3.square().mean(), [v1, v2, v2])
v4 = v3.narrow(-1, 0, 3)
v6 = v4[0]
v8 = v2 - v6
(v95,) = torch.autograd.grad(v8.square().mean(), [v2], allow_unused=True)""",
    "a view that a Function gave back, its base written": """
v0 = torch.tensor([[2.0, -2.0, 2.0], [-1.0, 2.0, 1.5]], requires_grad=True)
v1 = torch.tensor([[1.0], [-0.5]], requires_grad=True)
v2 = torch.autograd.grad(v0.sum(), [v1, v1, v1], materialize_grads=True, create_graph=True)[-1] + 0
v6 = Same.apply(v2)
v2.T.zero_()
with torch.set_grad_enabled(False): v2 = v0 + v6
v13 = v6 - v0""",
    "the base of what a Function gave back, saved before": """
v0 = torch.tensor([[0.5, 1.5, 2.0], [-2.0, 2.0, 1.5]], requires_grad=True)
v1 = torch.tensor([[-2.0], [1.5]], requires_grad=True)
v2 = v0.detach()
v3 = Same.apply(v0)
v4 = v3 * v1
v8 = v4.cos()
v2.mul_(0.5)
v17 = v8.cos()
(v2 * v17).sum().backward(retain_graph=True)""",
    "a gradient is kept through a recorded write after one that was not": """
v2 = torch.tensor([[1.5, 1.5, 0.25], [-0.5, -1.0, 2.0]], requires_grad=True)
v3 = v2 * v2
v3.backward(v3.detach() * 0.5, create_graph=True, inputs=[v3, v3])
v8 = v3[..., 0]
with torch.no_grad(): v8.select(0, 0).add_(1)
v9 = v8.expand_as(v8)
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v9[-1] = 0.25
v10 = torch.autograd.grad(v9.cos().sum(), [v3], materialize_grads=True)[-1] + 0""",
    "views of a view whose base was written": """
v0 = torch.tensor([[-2.0], [-0.5]], requires_grad=True)
v1 = torch.tensor([[1.0], [0.5]])
v2 = torch.stack([v0, v1])[0]
v4 = v2.expand(2, -1, -1)
v4[-1] = 0.25
v9 = v4.sigmoid()
v12, v13 = v4.tensor_split(2)
v14, other = Signs.apply(v2)
(v13 * v14).sum().backward(retain_graph=True, inputs=[v2, v9])""",
    "one of several views of an alias with a history": """
v0 = torch.tensor(1.5, requires_grad=True)
v1 = torch.tensor([[-2.0], [-0.5]], requires_grad=True)
v2 = v1.detach()
v4 = v2.unbind(0)[0]
v2.transpose(0, 1).copy_(v0)
v7, other = Both.apply(v2, v4)""",
    "a freed Function whose gradient is zero": """
v1 = torch.tensor([[-1.0, -1.0], [0.5, 1.0]], requires_grad=True)
v2 = v1.sigmoid()
v3 = Square.apply(v1)
v4 = torch.autograd.grad((v3 * v3).sum(), [v1], materialize_grads=True)[-1] + 0
v3.copy_(v2)
(v96,) = torch.autograd.grad((v3 * v3).sum(), [v1], materialize_grads=True)""",
    "hooks of leaves run as soon as their gradient is there": """
v0 = torch.tensor(0.25, requires_grad=True)
v1 = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-0.5, 1.0]], requires_grad=True)
v1.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
v0.register_hook(lambda g: seen.append(g.tolist()))
v2 = v1.sin()
v3 = torch.where(v2 > 0, v2, v0)
v3.sum().backward(retain_graph=True)""",
    "views of what a Function gave back": """
v0 = torch.tensor([[1.5, 0.25], [0.0, 1.5]], requires_grad=True)
v1 = Part.apply(v0)
v1.select(0, 0).sub_(-1, alpha=0.5)
v2, v3 = v1.chunk(2, -1)
v2.neg_()""",
    "a checkpoint reads its argument also from outside": """
v0 = torch.tensor([[1.0], [1.5]], requires_grad=True)
v1 = v0.sigmoid().view(-1)
v2 = checkpoint(lambda a, y=v1: a.sin() * y, v1, use_reentrant=False)
v3 = torch.autograd.grad((v2 * v2).sum(), [v1, v0], create_graph=True)[1]
v2.square().mean().backward(create_graph=True)""",
    "a Function sends on None": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([0.5, -0.5], requires_grad=True)
v2 = Exp.apply(v0)
v2.register_hook(lambda g: seen.append(g is None))
v3 = v2.cos()
v0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is None))
other, v4 = Sparing.apply(v3, v1)
v4.sum().backward()""",
    "hooks before a Function get what arrived": """
v0 = torch.tensor([1.0, -2.0], requires_grad=True)
v1, other = Signs.apply(v0)
v1.grad_fn.register_prehook(lambda g: (g[0] * 0.5, *g[1:]))
v1.grad_fn.register_hook(lambda gs, g: seen.append([len(gs), len(g), g[1] is None]))
v1.sum().backward()""",
    "what is read above a checkpoint, and beside it": """
v0 = torch.tensor([-0.5, 0.5, 0.5])
v1 = torch.tensor(1.0, requires_grad=True)
v2 = v1.flatten()
v3 = v1.cos() * v0
v4 = checkpoint(lambda a: (a * a).tanh(), v2, use_reentrant=False)
v5 = v4 / v1.sigmoid()
(v3 * v5).sum().backward()""",
    "a view of a view of an alias keeps its gradient": """
v0 = torch.tensor([[-0.5, 0.5, 0.0], [1.0, 2.0, 0.5]], requires_grad=True)
with torch.no_grad(): v1 = v0.movedim(0, -1)
v2 = v1.diagonal()
v3 = v2[:1]
v2.register_hook(lambda g: g * 10)
v2.backward(v2.detach() * 0.5, retain_graph=True, inputs=[v2])
v3.square().mean().backward()
v4 = v0.detach().requires_grad_()
v5 = v4[1:].diagonal()
v6 = v5[..., None]
v7 = torch.autograd.grad(v6.cos().sum(), v5)[0]""",
    "None arrives at a write that was freed": """
v1 = torch.tensor([2.0, 3.0], requires_grad=True)
v2 = v1 - 0.5
v2[0] = 0.5
v2[1:].sin_()
v2.sum().backward()
v3, v4 = Sparing.apply(v2, v1)
v4.sum().backward()
v3.sum().backward()""",
    "nothing is saved for what nobody collects": """
v0 = torch.tensor([0.25, -0.5, 1.0], requires_grad=True)
with torch.inference_mode(): v1 = v0.clone()
with torch.no_grad(): v2 = v0.view_as(v0)
v3 = v2 * v1
with saved_tensors_hooks(lambda x: seen.append(x.tolist()) or x, lambda x: x * 2): v4 = v2 * v0
v4.sum().backward()
v5 = v0 * v1""",
    "which view is written to by an index": """
v0 = torch.tensor(-2.0, requires_grad=True)
v1 = Part.apply(v0.expand(2).split(1)[0])
v2 = v0 * 1.5
v1[..., ::2] = v2
v1[:, None] = v2
v1[None, 0] = v2
v1[:, 0:9] = v2
v1[True] = v2
v3 = v0.expand(2)[torch.tensor(True)]
v4 = v3[:, :].grad_fn.name()
v5 = v3[:].grad_fn.name()""",
    "None arrives at a checkpoint": """
v0 = torch.tensor(-0.5, requires_grad=True)
v1 = v0 * 3
v2 = checkpoint(lambda a, y=v1: a.sin() * y, v0, use_reentrant=False)
other, v3 = Sparing.apply(v2, v0)
v3.backward()""",
    "a checkpoint where a gradient is below a gradient's call, and beside it": """
v0 = torch.tensor([2.0, -0.5], requires_grad=True)
v1 = torch.tensor([[3.0, 1.0], [0.5, -1.0]], requires_grad=True)
v2 = checkpoint(lambda a, y=v0: a * y, v1, use_reentrant=False)
v3 = torch.autograd.grad((v2 * v2).sum(), v1, create_graph=True)[0] + 0
v4 = torch.autograd.grad((v3 * v2).sum(), v0)[0]""",
    "what NumPy shares, read before and after it changed": """
v1 = torch.tensor([[0.25, 1.0, 2.0], [1.5, 0.5, 1.0]], requires_grad=True)
v2 = v1[v1 > -9]
v4 = torch.autograd.grad((v2 * v2).sum(), v1, retain_graph=True)[0] + 0
v9 = v2.detach().as_strided((2,), (1,))
a0 = v9.detach().numpy()
v9.detach().sigmoid_()
v4.exp_()
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v2[1:] = 0.25
v3 = v1 * 2
a1 = v3.detach().numpy()
v5 = v3 + 0
v3.detach().mul_(2)
v6 = v3 * v5
v3.detach().mul_(2)
v7 = v3 + v6
v7.sum().backward()""",
    "what is pending reads a value that a freed graph has no need of": """
v0 = torch.tensor([[1.5], [-2.0]])
v1 = torch.tensor(-2.0, requires_grad=True)
v2 = torch.tensor(1.5)
v3 = v2.flatten()
v4 = v2.unsqueeze(0)
v2.lerp_(v1, 0.5)
v5 = v0.transpose(0, 1)
v6 = torch.stack([v1, v2])[0]
v5[1:] = v5[1:] * 2
v7 = Once.apply(v4)
v3[0:].square_()
v11 = Same.apply(v6)
v9 = v11 + v6
v9.square().mean().backward()""",
    "a checkpoint's gradient is differentiated by its result": """
v1 = torch.tensor([2.0, -0.5], requires_grad=True)
v2 = checkpoint(lambda a, y=v1: (a * y).tanh(), v1, use_reentrant=False)
v7 = torch.autograd.grad(v2.square().sum(), v1, create_graph=True)[0] + 0
v12 = v2 * v7
v16 = torch.autograd.grad(v12.sum(), v2, retain_graph=True)[0] + 0
v3 = torch.autograd.grad(v12.sum(), v1, create_graph=True)[0] + 0""",
    "a hook on what NumPy shares, used before": """
v1 = torch.tensor([[1.5, 0.25], [-2.0, 0.25], [0.0, 0.25]], requires_grad=True)
v7 = v1.cos()
v10 = torch.stack([v7, v7])[0]
b1 = v7.detach().numpy()
v7.register_hook(lambda g: seen.append(g.tolist()))
v7.retain_grad()
v2 = v10 + v7
v2.backward(v10.detach() * 0.5, retain_graph=True)
v7.detach().mul_(2)
(v7 * v2).sum().backward()""",
    "a checkpoint reads a view of what overlaps": """
v0 = torch.tensor([1.5, -2.0], requires_grad=True)
v1 = torch.tensor([0.5], requires_grad=True)
with torch.no_grad(): v2 = v0.unsqueeze(-1)
v3 = v2.flatten().split(1)[-1].expand(1)[:1]
v4 = checkpoint(lambda a, y=v3: a * y, v1, use_reentrant=False)
v4.sum().backward(create_graph=True)""",
    "what is written in place is packed as it is then": """
v0 = torch.tensor([[0.25, -2.0], [0.25, 1.0], [1.5, 0.0]])
v1 = torch.tensor(0.25, requires_grad=True)
v2 = v0 + v1
v3 = v2[..., ::2]
with saved_tensors_hooks(lambda x: seen.append(x._version) or x.detach(), lambda x: x): v3.exp_()
v7 = v2.as_strided((2,), (1,))
v8 = Double.apply(v7)
v3.sum().backward()""",
    "of packed values that are compared alone no gradient is made": """
v0 = torch.tensor([[1.5], [0.0]], requires_grad=True)
v1 = torch.tensor([[-2.0, 0.25, -1.0], [-0.5, -1.0, 1.0]])
v2 = v1 * v0
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v3, v4 = v2.amax(), v2.abs()
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v2.clamp_(-1, 1)
v5 = torch.autograd.grad(v2.sum(), v0, create_graph=True, retain_graph=True)[0] + 0
v6 = torch.autograd.grad(v3, v0, create_graph=True)[0] + 0
v7 = torch.autograd.grad(v4.sum(), v0, create_graph=True)[0] + 0""",
    "a mask that is unpacked as numbers is refused": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v1 = v0.masked_fill(v0 > 1.5, 0.5)
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v2 = torch.where(v0 > 1.5, v0, 0.5)
v1.sum().backward()
v2.sum().backward()""",
    "a write to what a Function has saved is known when its storage is gone": """
v0 = torch.tensor([[1.0], [-0.5]], requires_grad=True)
v1 = Exp.apply(v0)
v1[1:] = 0.25
v1 = v1 * 2
v1.sum().backward()""",
    "a backward that a hook or a Function ends frees what it has passed": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.exp()
v1.register_hook(lambda g: seen[7])
v2 = v1.sin()
v3 = v2.sin()
v3.sum().backward()
v2.sum().backward()
v1.sum().backward()
v4 = v0.exp()
v5 = Square.apply(v4)
v6 = v5.sin()
v7 = v4.cos()
v4.detach().mul_(2)
(v6 + v7).sum().backward()
v7.sum().backward()
v6.sum().backward()""",
    "a root that was written to through .data keeps its gradient": """
v0 = torch.tensor([1.5, -2.0], requires_grad=True)
v1 = v0 * 2
v1.retain_grad()
v1.register_hook(lambda g: seen.append(g.tolist()))
v1.data[...] = 0.5
v2 = torch.tensor([1.0, 1.0], requires_grad=True)
seen.append(torch.autograd.grad(v1.sum(), v2, allow_unused=True))
seen.append(torch.autograd.grad(v1, v2, torch.ones(2), allow_unused=True, retain_graph=True))
v1.backward(torch.ones(2))""",
    "a checkpoint whose end saves nothing is not run again for its result alone": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0 * 1
v2 = checkpoint(lambda a: seen.append(1) or a.sin() * 2, v1, use_reentrant=False)
v3 = checkpoint(lambda a: seen.append(2) or a.exp() * a, v1, use_reentrant=False)
v1.mul_(2)
(v2 * v2).sum().backward(inputs=[v2])
(v3 * v3).sum().backward(inputs=[v3])
(v2 * v2).sum().backward()""",
    "a checkpoint's arguments are checked also where no gradient comes to it": """
v0 = torch.tensor([[2.0], [-0.5]], requires_grad=True)
v1 = torch.tensor(0.5, requires_grad=True)
v2 = v0 + 0
v3 = checkpoint(lambda a: (a * v2).tanh(), v2, use_reentrant=False)
v4 = v2 - v3
v2[:] = -1
other, v8 = Sparing.apply(v4, v1)
v8.cos().sum().backward(retain_graph=True)""",
    "a leaf with hooks lives on in the graph when its last name is gone": """
v0 = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
v0.grad = torch.ones(3)
v0.register_hook(lambda g: seen.append(g.tolist()))
v0.register_post_accumulate_grad_hook(lambda p: seen.append([p.is_leaf, p.grad.tolist()]))
v1 = v0 * v0
with torch.no_grad(): v0.mul_(2)
v2 = v1 * v0
v0 = torch.tensor([1.0, 2.0])[:1].detach().requires_grad_()
v3 = v0.sin()
v0.register_post_accumulate_grad_hook(lambda p: seen.append((p * 2).tolist()))
v4 = v3 * v0
v0 = v4.clone()
v1.sum().backward(retain_graph=True)
v2.sum().backward()
v4.sum().backward(retain_graph=True)
v4.sum().backward()
v5 = torch.autograd.grad(v0.sum(), v4)[0]""",
    "a leaf's hooks come in its turn among those of values": """
v0 = torch.tensor([0.5, -1.0], requires_grad=True)
v1 = torch.tensor([-1.0, 2.0], requires_grad=True)
v0.register_post_accumulate_grad_hook(lambda p: seen.append([p.grad.tolist(), v1.grad is None]))
v1.register_hook(lambda g: seen.append(["v1", g.tolist()]))
v2 = Square.apply(v1)
v2.register_hook(lambda g: seen.append(["v2", g.tolist(), v0.grad.tolist()]))
v3 = v2 * v1
v3.grad_fn.register_prehook(lambda g: seen.append(len(g)))
v4 = v3 * v0
v4.sum().backward(retain_graph=True)
torch.autograd.grad(v4.sum(), [v0, v1], retain_graph=True)
v4.sum().backward(inputs=[v0, v1])
(v0 + (v1 + v0)).sum().backward()""",
    "a hook on several gradients waits for those that a pass goes through": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = torch.tensor([1.5, 0.25, -0.5], requires_grad=True)
v2 = v0 * v1
v3 = v2.sin()
v4 = v1.exp()
hooked = torch.autograd.graph.register_multi_grad_hook
hooked([v0, v1, v2, v4], lambda gs: seen.append([g if g is None else g.tolist() for g in gs]))
hooked([v0, v1.detach(), v2], lambda g: seen.append(g.tolist()), mode="any")
v3.sum().backward(retain_graph=True)
v4.sum().backward(retain_graph=True)
(v3 + v4).sum().backward(retain_graph=True)
v3.sum().backward(retain_graph=True, inputs=[v0])
v3.sum().backward(retain_graph=True, inputs=[v2])
seen.append(torch.autograd.grad(v3.sum(), [v2], retain_graph=True)[0].tolist())
v3.sum().backward()
hooked([v0, v1.detach()], lambda gs: None)""",
    "a checkpoint of what nobody collects a gradient of saves nothing for it": """
v0 = torch.tensor([[1.0, 0.25], [0.25, 0.5]], requires_grad=True)
v1 = v0 * 2
with torch.inference_mode(): v2 = v1.sin()
with torch.no_grad(): v3 = v1.squeeze()
v4 = checkpoint(lambda a, y=v2: (a * y).tanh(), v3, use_reentrant=False)
v4.sum().backward()
v5 = checkpoint(lambda a: (a * v1).sin(), v3, use_reentrant=False)
v5.square().sum().backward()""",
    "a checkpoint in a checkpoint leaves the gradients beside it": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = torch.tensor([1.5, 0.25, -0.5], requires_grad=True)
v2 = v1 * 2
again = lambda f, x: checkpoint(f, x, use_reentrant=False)
again(lambda a: again(torch.sin, a) * v1, v0).sum().backward()
v3 = again(lambda a: again(lambda b: again(lambda c: c.exp() * v1, b * v2).sin(), a) * v2 * a, v0)
v3.sum().backward(retain_graph=True)
v3.square().sum().backward(create_graph=True)
again(lambda a: checkpoint(torch.sin, a, use_reentrant=True) * v1 * a, v0).sum().backward()""",
    "a checkpoint's gradient goes where the results that are used come from": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = torch.tensor([1.5, 0.25, -0.5], requires_grad=True)
v2 = checkpoint(lambda a, b: (a * b, a.exp()), v0, v1, use_reentrant=False)[1]
v2.sum().backward()
v3 = checkpoint(lambda a: (a * v1, a.exp()), v0, use_reentrant=False)[1]
v3.sum().backward()""",
    "a reentrant checkpoint refuses to go to some values alone": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = checkpoint(lambda a: a.sin() * a, v0, use_reentrant=True)
v1.sum().backward(inputs=[v0])""",
    "what was packed and each gradient reads is what it is differentiated by": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = torch.tensor([1.5, 0.25, -0.5], requires_grad=True)
with saved_tensors_hooks(lambda x: x, lambda x: x): v2 = v0 * v1
v3 = torch.autograd.grad(v2.sum(), v0, create_graph=True)[0]
(v3 * v3).sum().backward()
with saved_tensors_hooks(lambda x: x, lambda x: x): v4 = torch.func.grad(torch.sum)(v0)""",
    "hooks on saved values are given a checkpoint's arguments alone": """
v0 = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
v1 = torch.tensor([1.5, 0.25, -0.5], requires_grad=True)
shown = saved_tensors_hooks(lambda x: (seen.append(x.tolist()), x.clone())[1], lambda x: x * 2)
with shown: v2 = checkpoint(lambda a, b: (a * b * v1).sin() * a, v0, v1 * 2, use_reentrant=False)
v2.sum().backward(retain_graph=True)
v0.detach().add_(1)
v3 = torch.autograd.grad(v2.sum(), v0, create_graph=True)[0]
(v3 * v3).sum().backward()
refused = torch.autograd.graph.disable_saved_tensors_hooks("no")
with refused: checkpoint(lambda a: a.sin() * a, v0, use_reentrant=False)""",
    "hooks of a leaf come at its turn, before those of values that are run later": """
v0 = torch.tensor([[1.5], [0.25]], requires_grad=True)
v1 = torch.tensor([[1.5], [1.0]], requires_grad=True)
v2 = v1.exp()
v2.register_hook(lambda g: g * 2)
v0.register_hook(lambda g: seen.append(g.tolist()))
v0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
v1.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
v2.register_hook(lambda g: seen.append((g.tolist(), v0.grad is None, v1.grad is None)))
v3 = (v2 * v0).sin() + v0 * v2.detach()
v3.sum().backward(retain_graph=True)
v3.sum().backward(create_graph=True)
v3.sum().backward(inputs=[v1], retain_graph=True)
v3.sum().backward()
v3.sum().backward()""",
    "what hooks unpack for a reentrant checkpoint requires grad as it did": """
v0 = torch.tensor([[-2.0], [1.5]], requires_grad=True)
v1 = torch.mul(v0, 2)
part = lambda a: checkpoint(lambda a: a.sin() * a, a, use_reentrant=True)
with saved_tensors_hooks(lambda x: x.clone(), lambda x: x * 1): v2 = part(v1)
(v2 * v2).sum().backward()""",
    "a checkpoint's arguments are checked where its gradient reads what it saved": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.sin()
v2 = checkpoint(lambda a, b: (a.sin(), a * b), v1, 0.5, use_reentrant=False)[1]
v1.mul_(2)
v2.sum().backward(retain_graph=True)
v3 = checkpoint(lambda a, b: (a.sin(), a * b), v1, 0.5, use_reentrant=False)[0]
v1.mul_(2)
v3.sum().backward()""",
    "under hooks a comparison's gradient leads on too": """
v0 = torch.tensor(-0.5, requires_grad=True)
v1 = v0.sin()
with saved_tensors_hooks(lambda x: x, lambda x: x * 1): v2 = v1.relu()
v3 = torch.autograd.grad(v2.sum(), v1, create_graph=True)[0] + 0
(v3 * v3).sum().backward()""",
    "PyTorch does not count a single root among those that a hook of several waits for": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2 = (v0 * v1).sin()
v3 = v2.sum()
on = lambda *xs: register(xs, lambda gs: seen.append([g is not None for g in gs]))
register = torch.autograd.graph.register_multi_grad_hook
handle = on(v3, v0)
v3.backward(retain_graph=True)
handle.remove()
handle = on(v3, v2)
torch.autograd.backward([v3, v2.sum()], retain_graph=True)
v3.backward(retain_graph=True)
handle.remove()
handle = on(v0, v1)
torch.autograd.grad(v3, v0, retain_graph=True)
v3.backward(inputs=[v0])
torch.autograd.grad(v0, v0, torch.ones(2))""",
    "what a tangent alone goes through is saved for no gradient": """
v0 = torch.tensor(0.5)
v1 = torch.tensor([[-2.0], [-1.0]], requires_grad=True)
v2 = v1.abs()
v3 = torch.func.jvp(lambda a: a * v2, (v0,), (v0.cos(),))[1]
v2.detach_()
(v3 * v3).sum().backward()
seen.append(v1.grad.tolist())""",
    "gradients that a failed pass has given stay what they are where its graph was freed": """
v0 = torch.tensor([[2.0, 0.5]], requires_grad=True)
v1 = torch.full((2, 2), 0.5, requires_grad=True)
v2 = torch.full((2, 2), 0.25, requires_grad=True)
v3 = v0 * 1
v3.register_hook(lambda g: torch.autograd.grad(v4.sum(), v0)[0] if torch.is_grad_enabled() else g)
v4 = v3 @ v1 @ v2
v4.sum().backward(create_graph=True)
seen.append([v1.grad.tolist(), v2.grad.tolist()])
(torch.ones(1, 2) @ v1 @ v2).sum().backward()
seen.append([v1.grad.tolist(), v2.grad.tolist()])""",
}
