"""Programs on which the engine once differed from PyTorch, by what they showed: graphs and writes.
Those with views are in found_view_programs.py, those in which Python takes part in backward in
found_python_programs.py."""

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
    "the gradient of a value is kept, a part of which was written": """
v1 = torch.tensor([[1.0, 1.0], [-2.0, -1.0]], requires_grad=True)
v2 = v1 - v1
v2.retain_grad()
v2[..., ::2] = 0.25
v2.square().mean().backward(retain_graph=True)""",
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
    "a single operand is saved, though nobody collects its gradient": """
v0 = torch.tensor([[2.0], [0.25]], requires_grad=True)
v2 = v0 - v0
with torch.no_grad(): v5 = v2[0]
v11 = v5.tanh()
v11.detach().tanh_()
v11.backward(create_graph=True)""",
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
    "what a leaf that nobody collects was multiplied by is not saved": """
v0 = torch.tensor([2.0, 0.5, -1.0], requires_grad=True)
with torch.no_grad(): v1 = v0.view(3)
v2 = v1 * 1.5
v3 = v0 * v2
v2.square().sum().backward()
v4 = v3.neg()
(v4 * v4).sum().backward()
v2.square().sum().backward()""",
    "what was detached in place is named before what was written to": """
v0 = torch.tensor([-1.0, 0.5, 2.0], requires_grad=True)
v1 = v0 - 1.5
v2 = v1.sin()
v1.detach().neg_()
v1.detach_()
v3 = v0.detach()
v3.mul_(v0)
v4 = v3 * v0
v3.detach_()
v3.neg_()
v5 = v0.exp()
v6 = v5.square()
v5.detach_()
v5.mul_(v0)
torch.autograd.grad(v2.sum(), v0)
torch.autograd.grad(v4.sum(), v0)
torch.autograd.grad(v6.sum(), v0)""",
    "what float32 knows few digits of is compared in float64": """
v0 = torch.tensor(0.25, requires_grad=True)
v1 = torch.tensor(2.0, requires_grad=True)
v2 = torch.func.jvp(lambda a, y=2: (a * y).tanh(), (v1,), (v1,))[1]
v6 = v0.detach()
v6.expand_as(v6).div_(v2)
v12 = torch.func.jvp(lambda a, y=2: a.sin() * y, (v0,), (v0,))[1]""",
    "a mixed second derivative is constant where a loss is a sum of a product and others": """
v0 = torch.tensor([0.5, 0.25, 0.75], requires_grad=True)
v1 = torch.tensor([0.25, 0.75, 0.5], requires_grad=True)
F = torch.nn.functional
losses = [F.kl_div(v0, v1, reduction="sum"), F.binary_cross_entropy_with_logits(v0, v1)]
losses += [F.poisson_nll_loss(v0, v1, full=True), F.gaussian_nll_loss(v0, v1, torch.ones(3))]
first = [torch.autograd.grad(x, y, create_graph=True)[0].sum() for x in losses for y in (v0, v1)]
options = {"create_graph": True, "allow_unused": True}
second = [g for x in first for g in torch.autograd.grad(x, [v0, v1], **options)]
seen.append([g is not None and g.requires_grad for g in second])""",
    "a copy over what another wrote through detach() sends that zeros": """
v1 = torch.tensor([-2.0, 0.25, 1.0])
v2 = v1.detach()
v3 = v2.reshape(-1)
v4 = torch.tensor(1.0, requires_grad=True)
v5 = torch.tensor([-1.0, -2.0, 1.5], requires_grad=True)
v2.copy_(v5)
v2.copy_(v4)
Part.apply(v3).sum().backward()""",
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
    "a refused write leaves what it read as it was": """
v0 = torch.tensor([[0.5], [1.5]]).cos()
v1 = v0.t()
v0[1:] = torch.tensor(1.0, requires_grad=True)
import contextlib
with contextlib.suppress(RuntimeError): v1.add_(v1)
v1.sub_(0.5)""",
    "what is added at indices is saved for its own gradient alone": """
v0 = torch.tensor([[1.0, 1.0], [0.5, 1.5]], requires_grad=True)
v1 = v0 * 1
v2 = v1.T
v2.index_add_(0, torch.tensor([0]), v2[:1].detach())
v1.sum().backward(retain_graph=True)
with torch.inference_mode(): v3 = torch.ones(1, 2)
v1.index_copy_(0, torch.tensor([0]), v3)
v1.sum().backward()""",
    "what keeps its gradient already goes on as it did": """
v0 = torch.tensor([[0.5, 1.0], [0.0, -1.0]], requires_grad=True)
v1 = torch.atan2(v0, v0)
v1.sum().backward(inputs=[v1, v0], retain_graph=True)
v1.swapaxes_(0, -1)
v1.logcumsumexp(-1).square().mean().backward(inputs=[v0, v1])""",
    "numbers are no tensors": """
v0 = torch.tensor([1.0, 2.0])
v1 = torch.vdot(v0, -1)
v1 = torch.outer(v0, 2)
v1 = torch.inner(v0, 2)
v1 = torch.einsum('i,...->i', v0, 2)
v1 = torch.where(True, v0, 0.5)
v1 = v0.masked_fill(True, 0.5)
v1 = v0.sum().index_select(0, torch.tensor([0, 0]))""",
    "a power's gradient does not read it": """
v0 = torch.tensor([0.5, 4.0], requires_grad=True)
v1 = v0 ** 0.5
v1.mul_(2)
v1.sum().backward()
v2 = (v0 * 2) ** -0.5
v2.neg_()
v2.sum().backward()""",
    "a gradient that is known is not made again of what was let go of": """
v0 = torch.tensor([1.0, -1.0], requires_grad=True)
v1 = torch.tensor(-2.0, requires_grad=True)
v2 = torch.stack([v0])[0]
v2.sum().backward()
v2.masked_fill_(v0 > 0, v1)
v2.square().sum().backward(retain_graph=True)
v3 = torch.autograd.grad(v2.square().sum(), v0)[0]
v3.tolist()
v8 = v1.expand(2).sum()
v8.backward(v8.cos())""",
}
