"""The training loop: what it trains, watches and saves is the same whether or not it was interrupted."""

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from hw2core.engine.device import Device
from hw2core.engine.loop import Trained, Watch, average, evaluation_mode, lr_factor, train
from hw2core.engine.randomness import rng_for, seed_torch
from hw2core.engine.resume import Checkpoint
from hw2core.engine.system import Batch, System
from hw2core.errors import Interrupted, UserError
from hw2core.settings.systems import Training

CPU = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="cpu")
STEPS, WATCH_EVERY, CHECKPOINT_EVERY = 11, 4, 3


def lr_schedule(kind: str, warmup_steps: int = 0) -> dict[str, Any]:
    return {"kind": kind, "warmup_steps": warmup_steps}


def settings(**changes: Any) -> Training:
    values = {
        "steps": STEPS,
        "batch": 6,
        "lr": 0.01,
        "optimizer": {"betas": (0.9, 0.999), "weight_decay": 0.0},
        "lr_schedule": lr_schedule("constant"),
        "ema_decay": 0.0,
    }
    return Training(**values | changes)


class Killed(BaseException):
    """A process that ends here and now."""


class Small(System):
    """A convolution, batch norm, dropout and two optimizers: all that has a state, and all that draws numbers."""

    def __init__(self, settings: Training) -> None:
        seed_torch("initial weights")
        self.networks = nn.ModuleDict(
            {
                "body": nn.Sequential(
                    *(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.3), nn.Flatten())
                ),
                "head": nn.Linear(20, 3),
            }
        )
        self.optimizers = {
            name: Adam(network.parameters(), lr=settings.lr * factor, betas=(0.8, 0.9), fused=True)
            for (name, network), factor in zip(self.networks.items(), (1, 2), strict=True)
        }
        self.seen: list[int] = []

    def logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.networks["head"](self.networks["body"](images))
        return logits

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        self.seen.append(k)
        images, labels = batch
        loss = F.cross_entropy(self.logits(images + 0.1 * torch.randn_like(images)), labels)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"loss": loss}


def batch_at(k: int) -> tuple[Tensor, Tensor]:
    rng = rng_for("batch", k)
    images = torch.rand((6, 3, 4, 4), generator=rng).to(memory_format=torch.channels_last)
    return images, torch.randint(3, (6,), generator=rng)


TEST = batch_at(-1)


def run(
    folder: Path,
    options: Training,
    system: Small | None = None,
    *,
    batches: Callable[[int], Any] = batch_at,
    device: Device = CPU,
    checkpoint_every: int = CHECKPOINT_EVERY,
    names: tuple[str | int, ...] = ("train", "a", "seed 0"),
    show: Callable[[list[Any]], None] = lambda _: None,
) -> tuple[Trained, Small]:
    system = system or Small(options)

    def evaluate(step: int) -> dict[str, float]:
        return {"score": -F.cross_entropy(system.logits(TEST[0]), TEST[1]).item()}

    watch = Watch(WATCH_EVERY, evaluate, selects="score", show=show)
    checkpoint = Checkpoint(folder / "state")
    return train(system, batches, options, watch, device, checkpoint, checkpoint_every, names), system


def bits(state: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in state.items()}


def same(one: Trained, other: Trained) -> bool:
    return (bits(one.last), bits(one.chosen), one.chosen_step, one.history) == (
        bits(other.last),
        bits(other.chosen),
        other.chosen_step,
        other.history,
    )


# --- resuming ------------------------------------------------------------------------------------------------

VARIANTS = {
    "plain": {},
    "averaged": {"ema_decay": 0.7},
    "cosine": {"lr_schedule": lr_schedule("cosine")},
    "linear with warmup, averaged": {"lr_schedule": lr_schedule("linear", 5), "ema_decay": 0.9},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_training_killed_at_any_step_ends_in_the_very_same_bytes(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    options = settings(**changes)
    whole, _ = run(tmp_path / "whole", options)
    for killed_at in range(STEPS):

        def killed(k: int, killed_at: int = killed_at) -> Any:
            if k == killed_at:
                raise Killed
            return batch_at(k)

        folder = tmp_path / str(killed_at)
        with pytest.raises(Killed):
            run(folder, options, batches=killed)
        again, system = run(folder, options)
        assert same(again, whole), killed_at
        # What is repeated is less than the steps from one checkpoint to the next.
        assert system.seen == list(range(killed_at - killed_at % CHECKPOINT_EVERY, STEPS))


def test_a_training_killed_at_every_step_in_turn_still_ends_in_the_same_bytes(tmp_path: Path) -> None:
    options = settings(ema_decay=0.5)
    whole, _ = run(tmp_path / "whole", options)
    for killed_at in range(1, STEPS):

        def killed(k: int, killed_at: int = killed_at) -> Any:
            if k == killed_at:
                raise Killed
            return batch_at(k)

        with pytest.raises(Killed):
            run(tmp_path / "state", options, batches=killed)
    assert same(run(tmp_path / "state", options)[0], whole)


@pytest.mark.parametrize("place", ["between the updates", "while watching", "while saving"])
def test_a_training_killed_in_the_middle_of_a_step_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    options = settings(ema_decay=0.5)
    whole, _ = run(tmp_path / "whole", options)
    system = Small(options)

    def kill_at_step_8(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if len(system.seen) >= 8:
                raise Killed
            return call(*arguments)

        return called

    with monkeypatch.context() as patch:
        if place == "between the updates":
            head = system.optimizers["head"]
            patch.setattr(head, "step", kill_at_step_8(head.step))
        elif place == "while watching":
            patch.setattr(F, "cross_entropy", kill_at_step_8(F.cross_entropy))
        else:
            patch.setattr("os.fsync", kill_at_step_8(lambda file: None))
        with pytest.raises(Killed):
            run(tmp_path / "state", options, system)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["state"]
    assert same(run(tmp_path / "state", options)[0], whole)


@pytest.mark.parametrize("checkpoint_every", [1, 4, 100])
def test_how_often_a_checkpoint_is_saved_changes_nothing(tmp_path: Path, checkpoint_every: int) -> None:
    whole, _ = run(tmp_path / "whole", settings())
    other, _ = run(tmp_path / "other", settings(), checkpoint_every=checkpoint_every)
    assert same(other, whole)


def test_a_training_that_is_done_repeats_nothing(tmp_path: Path) -> None:
    options = settings(ema_decay=0.5)
    whole, _ = run(tmp_path, options)
    again, system = run(tmp_path, options)
    assert system.seen == []
    assert same(again, whole)


def test_what_was_drawn_before_a_training_does_not_matter_and_its_names_do(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", settings())
    system = Small(settings())
    torch.rand(1000)
    assert same(run(tmp_path / "again", settings(), system)[0], whole)
    other, _ = run(tmp_path / "other", settings(), names=("train", "a", "seed 1"))
    assert bits(other.last) != bits(whole.last)


def test_a_corrupt_checkpoint_starts_afresh_and_ends_in_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, _ = run(tmp_path, settings())
    state = tmp_path / "state"
    state.write_bytes(state.read_bytes()[:-9])
    again, system = run(tmp_path, settings())
    assert system.seen == list(range(STEPS))
    assert same(again, whole)
    assert "training starts from step 0" in capsys.readouterr().err


def test_the_user_is_told_where_a_training_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, settings(), names=("train_dann", "a-b", "seed 3"))
    capsys.readouterr()
    run(tmp_path, settings(), names=("train_dann", "a-b", "seed 3"))
    assert capsys.readouterr().err == f"train_dann a-b seed 3: resumes at step {STEPS} of {STEPS}\n"


def test_the_history_is_shown_after_each_evaluation_and_when_the_training_resumes(tmp_path: Path) -> None:
    shown: list[list[int]] = []

    def show(history: list[Any]) -> None:
        shown.append([row["step"] for row in history])

    run(tmp_path, settings(), show=show)
    assert shown == [[4], [4, 8], [4, 8, 11]]
    run(tmp_path, settings(), show=show)
    assert shown[3:] == [[4, 8, 11]]


# --- losses that are no numbers ------------------------------------------------------------------------------


class Diverging(Small):
    """Its loss is no number at step `at`, counted from 1; at no step if that is 0."""

    def __init__(self, settings: Training, at: int) -> None:
        super().__init__(settings)
        self.at = at

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        loss = super().step(batch, k)["loss"]
        return {"good": loss, "bad": loss * (math.nan if k + 1 == self.at else 1)}


@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_a_loss_that_is_no_number_stops_with_its_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, at: int
) -> None:
    options = settings()
    with pytest.raises(UserError) as error:
        run(tmp_path / "state", options, Diverging(options, at))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"train a seed 0: bad is nan at step {at}; ")
    state = Checkpoint(tmp_path / "state" / "state").load()
    assert (state["run"]["step"] if state else 0) == (at - 1) // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    # Without the fault the training goes on from there, to the same end.
    whole, _ = run(tmp_path / "whole", options, Diverging(options, 0))
    assert same(run(tmp_path / "state", options, Diverging(options, 0))[0], whole)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_loss_stops_too(tmp_path: Path, value: float) -> None:
    class Exploding(Small):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            return {"loss": super().step(batch, k)["loss"] * (value if k == 2 else 1)}

    with pytest.raises(UserError, match=f"loss is {value} at step 3"):
        run(tmp_path, settings(), Exploding(settings()))


class Breaking(Small):
    """Its update breaks the weights at step `at`, counted from 1, after a loss that was still a number."""

    def __init__(self, settings: Training, at: int) -> None:
        super().__init__(settings)
        self.at = at

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        losses = super().step(batch, k)
        if k + 1 == self.at:
            with torch.no_grad():
                self.networks["head"].weight.fill_(math.nan)
        return losses


def test_weights_that_are_no_numbers_get_into_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        run(tmp_path, settings(), Breaking(settings(), at=CHECKPOINT_EVERY * 2))
    state = Checkpoint(tmp_path / "state").load()
    assert state is not None
    assert all(tensor.isfinite().all() for tensor in state["networks"].values())


def test_weights_that_are_no_numbers_are_no_result(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        run(tmp_path, settings(), Breaking(settings(), at=STEPS))


def test_a_gradient_that_is_no_number_is_named_at_its_step(tmp_path: Path) -> None:
    class Steep(Small):
        """Its loss is a number whose gradient is none."""

        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            loss = super().step(batch, k)["loss"]
            weight = self.networks["head"].weight
            if k == 2:
                self.descend("head", (0 * weight).abs().sqrt().sum())  # the slope of a root at 0 times 0
            return {"loss": loss}

    with pytest.raises(UserError, match="the gradient of head is nan at step 3"):
        run(tmp_path, settings(), Steep(settings()))


@pytest.mark.parametrize("k", [0, 5])
def test_data_that_is_no_number_is_named_at_its_step(tmp_path: Path, k: int) -> None:
    def batches(step: int) -> tuple[Tensor, Tensor]:
        images, labels = batch_at(step)
        return (images * math.nan if step == k else images), labels

    with pytest.raises(UserError, match=f"loss is nan at step {k + 1}, and so is a number of its batch"):
        run(tmp_path, settings(), batches=batches)


def test_weights_that_are_no_numbers_show_in_the_next_loss(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="loss is nan at step 3"):
        run(tmp_path, settings(), Breaking(settings(), at=2))


# --- signals -------------------------------------------------------------------------------------------------


@pytest.fixture
def with_ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal: what a shell runs in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Signaled(Small):
    """A signal reaches the process during step `at`, counted from 1."""

    def __init__(self, settings: Training, at: int, number: int) -> None:
        super().__init__(settings)
        self.at, self.number = at, number

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        if k + 1 == self.at:
            signal.raise_signal(self.number)
        return super().step(batch, k)


@pytest.mark.usefixtures("with_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [1, 4, 5, 10])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint(tmp_path: Path, number: int, at: int) -> None:
    options = settings()
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted) as end:
        run(tmp_path / "state", options, Signaled(options, at, number))
    assert end.value.number == number
    assert signal.getsignal(number) is handler
    state = Checkpoint(tmp_path / "state" / "state").load()
    assert state is not None
    assert state["run"]["step"] == at
    assert same(run(tmp_path / "state", options)[0], run(tmp_path / "whole", options)[0])


def test_a_signal_in_the_last_step_lets_the_training_end(tmp_path: Path) -> None:
    options = settings()
    ended, _ = run(tmp_path / "one", options, Signaled(options, STEPS, signal.SIGTERM))
    assert same(ended, run(tmp_path / "other", options)[0])


@pytest.mark.parametrize(
    "second", [signal.SIGINT, signal.SIGALRM], ids=["a second signal", "the time of grace"]
)
@pytest.mark.usefixtures("with_ctrl_c")
def test_a_step_that_does_not_end_is_broken_off(tmp_path: Path, second: int) -> None:
    class Endless(Signaled):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            losses = super().step(batch, k)
            if k + 1 == self.at:
                assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
                signal.raise_signal(second)
            return losses

    with pytest.raises(Interrupted):
        run(tmp_path, settings(), Endless(settings(), 5, signal.SIGINT))
    state = Checkpoint(tmp_path / "state").load()
    assert state is not None
    assert state["run"]["step"] == CHECKPOINT_EVERY
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


# --- watching ------------------------------------------------------------------------------------------------


def test_the_history_has_a_row_every_so_many_steps_and_at_the_last(tmp_path: Path) -> None:
    trained, _ = run(tmp_path, settings())
    assert [row["step"] for row in trained.history] == [4, 8, 11]
    assert all(list(row) == ["step", "lr", "loss", "score"] for row in trained.history)


def test_a_row_holds_the_mean_loss_since_the_last_row(tmp_path: Path) -> None:
    losses: list[float] = []

    class Recording(Small):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            result = super().step(batch, k)
            losses.append(result["loss"].item())
            return result

    trained, _ = run(tmp_path, settings(), Recording(settings()))
    for row, part in zip(trained.history, (losses[:4], losses[4:8], losses[8:]), strict=True):
        assert row["loss"] == pytest.approx(sum(part) / len(part))


def test_the_chosen_step_is_the_first_with_the_highest_score(tmp_path: Path) -> None:
    scores = iter([0.2, 0.7, 0.7])
    system = Small(settings())
    seen: dict[int, dict[str, bytes]] = {}

    def evaluate(step: int) -> dict[str, float]:
        seen[len(system.seen)] = bits(system.networks.state_dict())
        return {"score": next(scores), "other": -1.0}

    trained = train(
        system,
        batch_at,
        settings(),
        Watch(4, evaluate, "score"),
        CPU,
        Checkpoint(tmp_path / "state"),
        3,
        ("a",),
    )
    assert trained.chosen_step == 8
    assert bits(trained.chosen) == seen[8]
    assert bits(trained.last) == seen[11]


def test_watching_changes_nothing_that_is_trained(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", settings())
    system = Small(settings())

    def evaluate(step: int) -> dict[str, float]:
        torch.rand(100)
        assert not any(part.training for part in system.networks.modules())
        assert not torch.is_grad_enabled()
        return {"score": float(len(system.seen))}

    trained = train(
        system, batch_at, settings(), Watch(1, evaluate, "score"), CPU, Checkpoint(tmp_path / "state"), 3,
        ("train", "a", "seed 0"),
    )  # fmt: skip
    assert bits(trained.last) == bits(whole.last)
    assert system.networks.training


# --- averaged weights ----------------------------------------------------------------------------------------


class Counter(nn.Module):
    """One weight, which is set, and one buffer, which is too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("buffer", torch.zeros(()))


def test_averaged_weights_are_those_computed_by_hand_and_buffers_are_copied() -> None:
    networks = nn.ModuleDict({"counter": Counter()})
    averaged = average(networks, 0.75)
    assert averaged is not None
    for weight in (8.0, 4.0, 2.0):
        with torch.no_grad():
            networks["counter"].weight.fill_(weight)
            networks["counter"].buffer.fill_(10 * weight)
        averaged.update_parameters(networks)
    # It begins with the first weight: 8, then 0.75 x 8 + 0.25 x 4 = 7, then 0.75 x 7 + 0.25 x 2 = 5.75.
    mean = averaged.module["counter"]
    assert (mean.weight.item(), mean.buffer.item()) == (5.75, 20.0)
    with evaluation_mode(networks, averaged):
        assert networks["counter"].weight.item() == 5.75
        assert networks["counter"].buffer.item() == 20.0
    assert networks["counter"].weight.item() == 2.0
    assert mean.weight.item() == 5.75


def test_without_averaging_there_is_no_second_network() -> None:
    assert average(nn.ModuleDict({"counter": Counter()}), 0.0) is None


def test_evaluation_mode_restores_everything_even_after_an_error() -> None:
    system = Small(settings())
    averaged = average(system.networks, 0.9)
    assert averaged is not None
    averaged.update_parameters(system.networks)
    system.step(batch_at(0), 0)
    weights, means = bits(system.networks.state_dict()), bits(averaged.module.state_dict())
    assert weights != means

    def evaluate() -> None:
        with evaluation_mode(system.networks, averaged):
            for name, weight in system.networks.named_parameters():
                assert weight.detach().contiguous().numpy().tobytes() == means[name]
            assert not system.networks.training
            raise Killed

    with pytest.raises(Killed):
        evaluate()
    assert bits(system.networks.state_dict()) == weights
    assert bits(averaged.module.state_dict()) == means
    assert system.networks.training


def test_the_averaged_weights_are_evaluated_and_returned(tmp_path: Path) -> None:
    """Recomputed from the weights after each step of the same training without averaging."""
    after: list[dict[str, Tensor]] = []

    class Recording(Small):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            result = super().step(batch, k)
            after.append({name: tensor.clone() for name, tensor in self.networks.state_dict().items()})
            return result

    run(tmp_path / "plain", settings(), Recording(settings()))
    trained, _ = run(tmp_path / "averaged", settings(ema_decay=0.8))
    parameters = {name for name, _ in Small(settings()).networks.named_parameters()}
    for name, value in trained.last.items():
        expected = after[0][name].double()
        for state in after[1:]:
            expected = 0.8 * expected + 0.2 * state[name].double()
        if name in parameters:
            assert torch.allclose(value.double(), expected, atol=1e-6), name
        else:
            assert torch.equal(value, after[-1][name]), name


# --- learning rates ------------------------------------------------------------------------------------------


def factors(**changes: Any) -> list[float]:
    options = settings(**changes)
    return [lr_factor(options, k) for k in range(options.steps)]


def test_a_constant_rate_stays() -> None:
    assert factors(steps=4) == [1, 1, 1, 1]


def test_a_linear_rate_falls_evenly_towards_zero() -> None:
    assert factors(steps=4, lr_schedule=lr_schedule("linear")) == [1, 0.75, 0.5, 0.25]


def test_a_cosine_rate_falls_as_half_a_wave_towards_zero() -> None:
    expected = [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert factors(steps=4, lr_schedule=lr_schedule("cosine")) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
def test_the_rate_rises_evenly_and_then_follows_its_schedule(kind: str) -> None:
    assert factors(steps=8, lr_schedule=lr_schedule(kind, 4))[:4] == [0.25, 0.5, 0.75, 1]
    assert factors(steps=8, lr_schedule=lr_schedule(kind, 4))[4:] == factors(
        steps=4, lr_schedule=lr_schedule(kind)
    )


def test_a_rise_longer_than_the_training_is_no_error() -> None:
    assert factors(steps=2, lr_schedule=lr_schedule("cosine", 8)) == [1 / 8, 2 / 8]
    assert factors(steps=2, lr_schedule=lr_schedule("cosine", 2)) == [1 / 2, 1]


def test_every_optimizer_gets_its_own_rate_times_the_schedules_factor(tmp_path: Path) -> None:
    rates: list[tuple[float, ...]] = []

    class Recording(Small):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            rates.append(tuple(o.param_groups[0]["lr"] for o in self.optimizers.values()))
            return super().step(batch, k)

    options = settings(lr_schedule=lr_schedule("linear", 2))
    trained, _ = run(tmp_path, options, Recording(options))
    for k, (body, head) in enumerate(rates):
        assert body == pytest.approx(0.01 * lr_factor(options, k))
        assert head == pytest.approx(0.02 * lr_factor(options, k))
    assert [row["lr"] for row in trained.history] == [0.01 * lr_factor(options, k) for k in (3, 7, 10)]


# --- devices -------------------------------------------------------------------------------------------------


def test_bf16_trains_and_differs_a_little_from_fp32(tmp_path: Path) -> None:
    exact, _ = run(tmp_path / "fp32", settings())
    rough_device = Device(torch.device("cpu"), bf16=True, channels_last=True, compiled=False, about="bf16")
    rough, _ = run(tmp_path / "bf16", settings(), device=rough_device)
    for name, tensor in exact.last.items():
        assert rough.last[name].dtype == tensor.dtype
    assert bits(rough.last) != bits(exact.last)
    for one, other in zip(rough.history, exact.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=0.1)


def test_the_memory_format_changes_what_is_learned_by_rounding_alone(tmp_path: Path) -> None:
    last, _ = run(tmp_path / "last", settings())
    device = Device(torch.device("cpu"), bf16=False, channels_last=False, compiled=False, about="cpu")
    first, _ = run(tmp_path / "first", settings(), device=device)
    assert [row["loss"] for row in last.history] == pytest.approx(
        [row["loss"] for row in first.history], rel=1e-3
    )


def test_convolutions_are_trained_in_the_memory_format_of_the_device(tmp_path: Path) -> None:
    _, system = run(tmp_path, settings())
    weight = system.networks["body"][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_in_bf16_an_updated_weight_is_used_in_the_same_step(tmp_path: Path) -> None:
    """A generator is trained against the discriminator as it is after its own update."""

    class Reader(Small):
        def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
            losses = super().step(batch, k)
            features = torch.ones((1, 20))
            head = self.networks["head"]
            read = head(features)
            now = F.linear(features.bfloat16(), head.weight.bfloat16(), head.bias.bfloat16())
            assert torch.equal(read, now)
            return losses

    options = settings(lr=0.5)
    bf16 = Device(torch.device("cpu"), bf16=True, channels_last=True, compiled=False, about="cpu")
    run(tmp_path, options, Reader(options), device=bf16)
