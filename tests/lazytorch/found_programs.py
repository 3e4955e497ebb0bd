"""Programs on which the engine once differed from PyTorch, by what they showed."""

# What random programs found, shrunk.
FOUND = {
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
    "what replaces .data goes on counting its writes": """
v0 = torch.tensor(0.25, requires_grad=True)
v1 = torch.tensor([[0.25, 1.0], [-1.0, -0.5]])
v1[0] = 0.25
v1.data = v1.detach().clone()
v12, other = Both.apply(v0.flatten(), v1)
v1.detach().copy_(v0)
seen.append(v1._version)
v12.backward(v12.cos(), create_graph=True)""",
    "a gradient is pending while a later backward frees the graph": """
v0 = torch.tensor(-0.5, requires_grad=True)
v1 = v0.clone() * 3
v2 = torch.autograd.grad((v1 * v1).sum(), v0, retain_graph=True)[0] + 0
(v1 * v1).sum().backward()
seen.append(v0.grad.tolist())""",
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
    "backward(inputs=) checks what made its targets": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = v0.clone()
v2 = v1.cos()
v1.mul_(3)
(v2 * 1).sum().backward(inputs=[v2])""",
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
    "the second derivative of a product reads no factor": """
v1 = torch.tensor([[0.25, -0.5], [0.5, 2.0], [0.25, -2.0]], requires_grad=True)
v2, other = Signs.apply(v1)
v3 = torch.autograd.grad((v2 * v2).sum(), v1, create_graph=True)[0] + 0
v4 = torch.where(v3 > v2, v3, v2)
v5 = v2.unflatten(0, (1, -1))
v7 = v1 - v4
v5.detach().add_(1.5)
v7.square().mean().backward(retain_graph=True)""",
    "a tracked value copied through .data stays its owner's": """
v0 = torch.tensor([[1.0, 1.5], [1.5, 1.0]], requires_grad=True)
v1 = torch.tensor([[-1.0], [0.0]])
v2 = v1 - v0
v3 = v0.sin()
v2.data.copy_(v3)
v2.zero_()
v3.cos().sum().backward()""",
    "what detach() gives, as a Function's result": """
v0 = torch.tensor([[2.0], [0.5]])
v1 = torch.tensor([-1.0, -1.0, 2.0], requires_grad=True)
v0.requires_grad_()
v3 = Once.apply(v0)
(v3 * v1).sum().backward(create_graph=True)""",
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
    "a leaf before and after a write that was not recorded": """
v1 = torch.tensor([0.25, 1.0, -1.0], requires_grad=True)
v2 = torch.stack([v1, v1])
v1.detach().fill_(0.75)
v3 = v1[torch.tensor([0])]
v4 = v2 - v3
v90, v91 = torch.autograd.grad(v4.sum(), [v1, v2], materialize_grads=True)""",
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
    "hooks of leaves run as soon as their gradient is there": """
v0 = torch.tensor(0.25, requires_grad=True)
v1 = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-0.5, 1.0]], requires_grad=True)
v1.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
v0.register_hook(lambda g: seen.append(g.tolist()))
v2 = v1.sin()
v3 = torch.where(v2 > 0, v2, v0)
v3.sum().backward(retain_graph=True)""",
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
    "views of what a Function gave back": """
v0 = torch.tensor([[1.5, 0.25], [0.0, 1.5]], requires_grad=True)
v1 = Part.apply(v0)
v1.select(0, 0).sub_(-1, alpha=0.5)
v2, v3 = v1.chunk(2, -1)
v2.neg_()""",
    ".data of a computed tensor": """
v0 = torch.tensor([0.5, 2.0], requires_grad=True)
v1 = v0.tanh()
v1.data = torch.tensor([3.0, 4.0])
(v1 * v1).sum().backward()""",
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
    "a checkpoint reads a view of what overlaps": """
v0 = torch.tensor([1.5, -2.0], requires_grad=True)
v1 = torch.tensor([0.5], requires_grad=True)
with torch.no_grad(): v2 = v0.unsqueeze(-1)
v3 = v2.flatten().split(1)[-1].expand(1)[:1]
v4 = checkpoint(lambda a, y=v3: a * y, v1, use_reentrant=False)
v4.sum().backward(create_graph=True)""",
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
}
