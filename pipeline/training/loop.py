"""The one training loop: schedule, clipping, EMA weights, validation, checkpoints, many processes.

Nothing here draws from a running random state. The rows of a batch and the seed of a step are
functions of (seed, step), so "position in the data and random state" is one integer: a run that is
killed and continued from a checkpoint ends in the bytes of an undisturbed one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from pipeline.devices import best_device, warn_of_emulation
from pipeline.errors import UserError
from pipeline.params import Precision
from pipeline.progress import progress, say
from pipeline.seeds import derive_seed
from pipeline.training.batches import batch_rows
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.muon import Muon
from pipeline.training.settings import TrainingSettings

Curve = list[dict[str, float]]

LAST_LR_SHARE = 0.02  # the cosine ends here, not at 0, where the last steps would be wasted


class Task(Protocol):
    """What the loop trains: a model, how many rows there are, and what is lost on some of them."""

    model: nn.Module
    rows: int

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over `rows` (int64 indices, on the CPU), and further figures for the curve."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures on the validation split; the one called `loss` chooses the weights kept."""
        ...


def fit(
    task: Task,
    settings: TrainingSettings,
    *,
    accelerator: Accelerator,
    checkpoints: Checkpoints,
    seed: int,
    label: str,
    write_curve: Callable[[Curve], None],
    follow: Callable[[Curve], bool] = lambda _: False,
    lr_shares: Mapping[str, float] | None = None,
    by_muon: Collection[str] = (),
) -> Curve:
    """Train `task.model` in place; it ends with the EMA weights that validated best.

    Args:
        write_curve: called in the main process with the curve so far after each validation, so
            that it can be looked at meanwhile.
        follow: called in each process with the curve so far at the start and after each
            validation, so that a task can act on it; returns whether there is nothing left to do.
        lr_shares: of a parameter's name, what share of lr it has; None: all of it.
        by_muon: names of the parameters that Muon moves; AdamW moves the others.

    Returns:
        The curve: a row for each validation, with the step, the learning rate, the mean of every
        training figure since the row before, and the validation's figures as `val_*`.
    """
    run = _Run(
        task, settings, accelerator, follow=follow, lr_shares=lr_shares or {}, by_muon=by_muon
    )
    restored = checkpoints.load()
    if restored is not None:
        run.restore(*restored)
        say(f"{label}: going on from step {run.step}")
    accelerator.wait_for_everyone()  # nobody writes a checkpoint that another still looks for
    resumed_at = run.step
    note: list[str] = [""]
    steps = run.steps(seed)
    for _ in progress(steps, total=settings.steps, label=label, initial=run.step, note=note):
        note[0] = run.summary()
        if run.curve and run.curve[-1]["step"] == run.step and accelerator.is_main_process:
            write_curve(run.curve)
        if run.step % settings.checkpoint_every == 0 and accelerator.is_main_process:
            checkpoints.save(run.step, *run.snapshot())
    if run.step > resumed_at and accelerator.is_main_process:  # what follows may be killed too
        checkpoints.save(run.step, *run.snapshot())
    run.finish()
    if accelerator.is_main_process:
        write_curve(run.curve)
    return run.curve


class _Run:
    """The state of one run of the loop: what a checkpoint holds."""

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        accelerator: Accelerator,
        *,
        follow: Callable[[Curve], bool],
        lr_shares: Mapping[str, float],
        by_muon: Collection[str],
    ) -> None:
        processes = accelerator.num_processes
        if settings.batch_size % processes:
            raise UserError(
                f"batch_size = {settings.batch_size}: {processes} processes share it, "
                f"so it must be a multiple of {processes}"
            )
        self.task, self.settings, self.accelerator = task, settings, accelerator
        self.model = task.model.to(accelerator.device)
        self.optimizers = _optimizers(self.model, settings, lr_shares, by_muon)
        self.wrapped = accelerator.prepare_model(self.model)
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.best: dict[str, Tensor] = {}
        self.best_loss = math.inf
        self.without_gain = 0
        self.step = 0
        self.follow, self.finished = follow, False
        self.curve: Curve = []
        self.sums: dict[str, Tensor] = {}
        self.summed = 0

    def steps(self, seed: int) -> Iterator[int]:
        """Do the steps that are left, yielding after each."""
        settings, accelerator = self.settings, self.accelerator
        self.finished = self.follow(self.curve)
        while self.step < settings.steps and not (self.finished or self._out_of_patience()):
            rows = batch_rows(self.task.rows, settings.batch_size, step=self.step, seed=seed)
            mine = rows.chunk(accelerator.num_processes)[accelerator.process_index]
            torch.manual_seed(derive_seed(seed, self.step, accelerator.process_index))
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = settings.lr * lr_share(self.step, settings) * group["share"]
            self.wrapped.train()
            with accelerator.autocast():
                loss, figures = self.task.loss(self.wrapped, mine)
            accelerator.backward(loss)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.grad_clip)
            for optimizer in self.optimizers:
                optimizer.step()
            self.model.zero_grad(set_to_none=True)
            if accelerator.num_processes > 1:
                share_buffers(self.model)
            self.step += 1
            update_ema(self.ema, self.model, decay=settings.ema_decay, step=self.step)
            self._add({"loss": loss.detach(), **figures, "grad_norm": norm})
            if self.step % settings.validate_every == 0 or self.step == settings.steps:
                self._validate()
            yield self.step

    def _add(self, figures: dict[str, Tensor]) -> None:
        for name, value in figures.items():
            value = value.detach().float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.summed += 1

    def _validate(self) -> None:
        torch.manual_seed(0)  # the same draws each time, so that two validations compare
        with torch.no_grad():
            figures = self.task.validate(self.ema)
        means = {name: float(total) / self.summed for name, total in self.sums.items()}
        if not math.isfinite(means["loss"] + figures["loss"]):
            raise FloatingPointError(
                f"the loss is no longer finite at step {self.step}; "
                f"try a smaller lr than {self.settings.lr} or a smaller grad_clip"
            )
        share = lr_share(self.step - 1, self.settings)
        row = {"step": self.step, "lr": self.settings.lr * share, **means}
        self.curve.append({**row, **{f"val_{name}": value for name, value in figures.items()}})
        self.sums, self.summed = {}, 0
        self.without_gain += 1
        if figures["loss"] < self.best_loss:
            self.best_loss, self.without_gain = figures["loss"], 0
            self.best = {k: v.detach().clone() for k, v in self.ema.state_dict().items()}
        self.finished = self.follow(self.curve)

    def _out_of_patience(self) -> bool:
        return 0 < self.settings.patience <= self.without_gain

    def summary(self) -> str:
        """The newest validation, for the progress line."""
        if not self.curve:
            return ""
        return f"loss {self.curve[-1]['loss']:.4g}, validation {self.curve[-1]['val_loss']:.4g}"

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that `restore` needs to go on as if nothing had happened."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        tensors |= {f"sums.{k}": v for k, v in self.sums.items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, entries in optimizer.state_dict()["state"].items():
                part = f"optimizer.{number}.{index}"
                tensors |= {f"{part}.{name}": value for name, value in entries.items()}
        state = {
            "step": self.step, "curve": self.curve,
            "summed": self.summed, "figures": list(self.sums),
            "best_loss": self.best_loss, "without_gain": self.without_gain,
        }  # fmt: skip
        return tensors, state

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up where a snapshot was made."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        self.model.load_state_dict(parts["model"])
        self.ema.load_state_dict(parts["ema"])
        device = self.accelerator.device
        self.best = {k: v.to(device) for k, v in parts.get("best", {}).items()}
        sums = parts.get("sums", {})  # a file of tensors has its own order; the curve's is theirs
        self.sums = {k: sums[k].to(device) for k in state["figures"]}
        parameters = [
            [p for group in optimizer.param_groups for p in group["params"]]
            for optimizer in self.optimizers
        ]
        for key, value in parts["optimizer"].items():
            number, index, name = key.split(".")
            parameter = parameters[int(number)][int(index)]
            # The moments take their parameter's memory layout, as if they had grown beside it.
            alike = value.shape == parameter.shape
            like = torch.zeros_like(parameter) if alike else value.to(device)
            self.optimizers[int(number)].state[parameter][name] = like.detach().copy_(value)
        self.step, self.summed = state["step"], state["summed"]
        self.curve = state["curve"]
        self.best_loss, self.without_gain = state["best_loss"], state["without_gain"]

    def finish(self) -> None:
        """Leave the best weights in the model."""
        self.model.load_state_dict(self.best)
        self.model.eval()


def build_accelerator(precision: Precision) -> Accelerator:
    """The processes and device of this run; call it before any model is built.

    vector-quantize-pytorch decides at a quantiser's birth whether codebooks are kept in step across
    processes, and remembers the answer.
    """
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    warn_of_emulation(precision)
    mixed = "no" if precision == "fp32" else precision
    # Without an accelerator it must be told that this is meant, or processes ignore one another.
    alone = best_device().type == "cpu"
    return Accelerator(cpu=alone, mixed_precision=mixed, kwargs_handlers=[unused])


def lr_share(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then half a cosine (https://arxiv.org/abs/1608.03983), as a share of `lr`."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    left = max(1, settings.steps - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * (step - settings.warmup_steps) / left))
    return LAST_LR_SHARE + (1 - LAST_LR_SHARE) * cosine


def share_buffers(model: nn.Module) -> None:
    """Give all processes the first one's buffers, so that they validate the same model and agree
    when to stop: a batch norm's statistics are of each process's own part of the batch.
    """
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, src=0)


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, *, decay: float, step: int) -> None:
    """Move the averaged weights towards the model's; buffers, averages by themselves, are copied.

    Early on the average is short, or the random start would weigh on it for 1 / (1 - decay) steps.
    """
    decay = min(decay, step / (step + 10))
    averaged: list[Tensor] = [p for p in ema.parameters() if p.is_floating_point()]
    current = [p.detach() for p in model.parameters() if p.is_floating_point()]
    torch._foreach_lerp_(averaged, current, 1 - decay)
    for kept, buffer in zip(ema.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)


def _optimizers(
    model: nn.Module,
    settings: TrainingSettings,
    lr_shares: Mapping[str, float],
    by_muon: Collection[str],
) -> list[torch.optim.Optimizer]:
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    muon = {name: p for name, p in learning.items() if name in by_muon}
    adamw = {name: p for name, p in learning.items() if name not in by_muon}
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            _groups(adamw, settings.weight_decay, lr_shares),
            lr=settings.lr,
            betas=(0.9, 0.99),
            fused=True,
        )
    ]
    if muon:
        found.append(Muon(_groups(muon, settings.weight_decay, lr_shares), lr=settings.lr))
    return found


def _groups(
    parameters: Mapping[str, Tensor], weight_decay: float, lr_shares: Mapping[str, float]
) -> list[dict[str, Any]]:
    # Biases, norms and other vectors are left alone: decay is meant for what multiplies.
    groups: dict[tuple[bool, float], list[Tensor]] = {}
    for name, parameter in parameters.items():
        kind = parameter.ndim >= 2, lr_shares.get(name, 1.0)
        groups.setdefault(kind, []).append(parameter)
    return [
        {"params": params, "weight_decay": weight_decay if decayed else 0.0, "share": share}
        for (decayed, share), params in sorted(groups.items(), key=lambda g: (not g[0][0], g[0][1]))
    ]
