"""``torch.utils.model_zoo``: the former name of ``torch.hub``'s download."""

from lazytorch.hub import load_state_dict_from_url

load_url = load_state_dict_from_url

__all__ = ["load_url"]
