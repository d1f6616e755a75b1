"""dvc.yaml tells DVC the truth: what each stage's code is, what params it reads, what it makes."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from apps.code_deps import PACKAGES, ROOT, code_deps, sections_read, with_code_deps
from pipeline.params import read_yaml
from stages.layout import PRIORS

STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
PARAMS = read_yaml(ROOT / "params.yaml")
each_stage = pytest.mark.parametrize("stage", STAGES)


def outs(stage: str) -> list[str]:
    listed = [o for key in ("outs", "metrics", "plots") for o in STAGES[stage].get(key, [])]
    return [next(iter(o)) if isinstance(o, dict) else o for o in listed]


def test_the_stages_are_those_that_the_readme_names():
    assert list(STAGES) == [
        "download", "resize_images", "finetune_blip", "extract_embeddings", "train_vqvae",
        "dump_codes", "train_decoder", "train_pixelsnail", "train_diffusion", "train_judge",
        "generate", "evaluate",
    ]  # fmt: skip


@each_stage
def test_code_deps_are_exactly_the_modules_imported(stage):
    listed = [dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")]
    assert listed == code_deps(stage)


def test_the_command_that_writes_the_code_deps_has_nothing_left_to_write():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert with_code_deps(text) == text
    assert with_code_deps(text.replace("      - pipeline/files.py\n", "", 1)) == text


@each_stage
def test_params_listed_are_exactly_those_read(stage):
    by_launcher = {"threads", "instruction_set"} & set(STAGES[stage]["params"])
    assert set(STAGES[stage]["params"]) == sections_read(stage) | by_launcher


def test_every_stage_whose_sums_threads_cut_lists_them():
    for param in ("threads", "instruction_set"):
        assert [s for s in STAGES if param not in STAGES[s]["params"]] == [
            "download", "resize_images",
        ]  # fmt: skip


@each_stage
def test_data_deps_are_outs_of_stages_before(stage):
    before = {out for earlier in list(STAGES)[: list(STAGES).index(stage)] for out in outs(earlier)}
    # What is in git: docs/spread.json, made by a command; and what a user brings.
    given = {"docs/spread.json", "${data.watch}"}
    needed = {dep for dep in STAGES[stage]["deps"] if not dep.endswith(".py")} - given
    for family, folder in PRIORS.items():
        assert {dep.replace("models/${prior}", str(folder)) for dep in needed} <= before, family


def test_what_stages_make_is_ignored_by_git_or_belongs_in_it():
    """Else DVC writes a .gitignore, and a fresh clone has a change after its first run."""
    for stage, made in ((s, o) for s in STAGES for o in STAGES[s].get("outs", [])):
        in_git = isinstance(made, dict) and next(iter(made.values())).get("cache") is False
        path = next(iter(made)) if isinstance(made, dict) else made
        ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0
        assert ignored != in_git, f"{stage}: {path}"


def test_params_yaml_has_no_section_that_nobody_reads():
    assert set(PARAMS) == {param.split(".")[0] for s in STAGES.values() for param in s["params"]}


def test_another_size_of_one_models_pictures_trains_no_other_model_anew():
    reads = {s: [d for d in STAGES[s]["deps"] if d.startswith("data/pixels/")] for s in STAGES}
    assert {stage: found for stage, found in reads.items() if found} == {
        "finetune_blip": ["data/pixels/blip"],
        "extract_embeddings": ["data/pixels/blip"],
        "train_vqvae": ["data/pixels/vqvae"],
        "dump_codes": ["data/pixels/vqvae"],
        "train_decoder": ["data/pixels/vqvae"],
        "evaluate": ["data/pixels/blip", "data/pixels/vqvae"],
    }


def test_no_experiment_on_the_models_makes_another_judge():
    entry = STAGES["train_judge"]
    assert entry["params"] == [
        "threads", "instruction_set", "data.source", "data.sample.size", "judge",
    ]  # fmt: skip
    assert all(dep.endswith(".py") for dep in entry["deps"])
    shared = ("pipeline/models/__init__.py", "pipeline/models/storage.py")
    models = [d for d in entry["deps"] if d.startswith(("pipeline/models/", "pipeline/training/"))]
    assert models == list(shared)


@each_stage
def test_the_command_says_nothing_about_the_machine(stage):
    assert STAGES[stage]["cmd"] == f"python -m stages {stage}"


@each_stage
def test_a_stage_imports_only_the_libraries_that_it_needs(stage):
    script = (
        f"import sys, stages.{stage}\n"
        "heavy = ('torch', 'transformers', 'sklearn', 'matplotlib')\n"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    blip = {"torch", "transformers"}
    allowed = {
        "download": set(),
        "resize_images": set(),
        "finetune_blip": blip,
        "extract_embeddings": blip,
        "generate": blip,
        "evaluate": {*blip, "sklearn", "matplotlib"},
    }.get(stage, {"torch"})
    assert set(done.stdout.split()) <= allowed


def test_nothing_in_the_project_can_be_made_to_execute_data():
    forbidden = {"pickle.load", "pickle.loads", "eval", "exec", "os.system", "yaml.load", "np.load"}
    for folder in PACKAGES:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                called = ast.unparse(node.func)
                assert called not in forbidden, f"{path}:{node.lineno}"
                assert keywords.get("shell") != "True", f"{path}:{node.lineno}"
                assert "trust_remote_code" not in keywords, f"{path}:{node.lineno}"
                if called == "torch.load":
                    assert keywords.get("weights_only") == "True", f"{path}:{node.lineno}"
