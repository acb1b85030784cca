"""The errors that the library raises; every one is a `VBLoRAError`."""


class VBLoRAError(ValueError):
    """A request that cannot be met. The message names the rule, the value and the place, then what to do."""


class TorchVersionError(VBLoRAError):
    """The installed version of torch lacks what the library needs."""


class TargetError(VBLoRAError):
    """The targets match nothing, or something that cannot be adapted."""


class AdapterStateError(VBLoRAError):
    """The call does not fit what is attached now: a name in use, merging twice, no such adapter."""


class AdapterFileError(VBLoRAError):
    """An adapter file is missing, damaged, foreign, or made for another model."""
