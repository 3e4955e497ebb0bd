"""Actor and critic that balance a pole on a cart: sampled actions, discounted returns; Adam."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class CartPole:
    """The pole on a cart of Barto, Sutton and Anderson (1983), without a library."""

    def __init__(self, rng):
        self.rng = rng

    def reset(self):
        self.state = self.rng.uniform(-0.05, 0.05, 4)
        return self.state

    def step(self, action):
        """The new state (4,), the reward, and whether the pole has fallen."""
        _, x_dot, theta, theta_dot = self.state
        force = 10.0 if action == 1 else -10.0
        temp = (force + 0.05 * theta_dot**2 * math.sin(theta)) / 1.1
        theta_acc = (9.8 * math.sin(theta) - math.cos(theta) * temp) / (
            0.5 * (4.0 / 3.0 - 0.1 * math.cos(theta) ** 2 / 1.1)
        )
        x_acc = temp - 0.05 * theta_acc * math.cos(theta) / 1.1
        self.state = self.state + 0.02 * np.array([x_dot, x_acc, theta_dot, theta_acc])
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 12 * math.pi / 180
        return self.state, 1.0, fallen


class Policy(nn.Module):
    """implements both actor and critic in one model"""

    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 32)
        self.action_head = nn.Linear(32, 2)
        self.value_head = nn.Linear(32, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(model, state, rng, device):
    state = torch.tensor(state, dtype=torch.get_default_dtype()).to(device)
    probs, state_value = model(state)
    action = torch.tensor([int(rng.random() < probs[1].item())], device=device)
    log_prob = torch.log(probs.gather(-1, action)).squeeze(0)
    model.saved_actions.append((log_prob, state_value))
    return action.item()


def finish_episode(model, optimizer, gamma=0.99):
    """The loss of what was saved, after a step that lowers it."""
    R, returns = 0, []
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns).to(next(model.parameters()).device)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    policy_losses, value_losses = [], []
    for (log_prob, value), R in zip(model.saved_actions, returns, strict=True):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, R.reshape(1)))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return loss


def train(device="cpu", start=lambda *models: None):
    """Episodes of ten steps, so that each is as long as the last."""
    rng = np.random.default_rng(0)
    env = CartPole(rng)
    model = Policy().to(device)
    start(model)
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(20):
        state = env.reset()
        for _ in range(10):
            action = select_action(model, state, rng, device)
            state, reward, fallen = env.step(action)
            model.rewards.append(-1.0 if fallen else reward - abs(float(state[2])))
        yield finish_episode(model, optimizer).item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
