"""Pretrained resources: off, from a local folder, or fetched; never half, never another file."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from image_server import TEST_HTTP, ImageServer
from safetensors.torch import load_file, save_file

from pipeline.download import pretrained
from pipeline.download.pretrained import BACKBONES, CHECKPOINTS, Pretrained, bring_pretrained
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore
from pipeline.errors import UserError
from pipeline.params import load_section

SHARED = Path(__file__).resolve().parents[2] / "shared" / "pretrained"
NOTHING = {"origin": None, "files": {}}
OFF = {"blip": "off", "lpips": "off", "lpips_net": "squeeze", "wordnet": "off"}


def bring(
    folder: Path, urls: dict[str, str] | None = None, *, http: Http = TEST_HTTP, **changes: str
) -> dict[str, Any]:
    """Bring what is asked for into folder/out; returns the manifests."""
    with DownloadStore.open(folder / "store") as store:
        bring_pretrained(
            Pretrained(**{**OFF, **changes}),  # type: ignore[arg-type]
            folder / "out",
            store=store,
            http=http,
            **(urls or {}),
        )
    parts = sorted((folder / "out").iterdir())
    return {part.name: json.loads((part / "manifest.json").read_text()) for part in parts}


def checkpoint(folder: Path, *, pickled: bool = False, leave_out: str = "") -> Path:
    """A Hugging Face folder's files, with two small tensors that share their memory."""
    folder.mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).write_text("{}")
    weight = torch.arange(6.0).reshape(2, 3)
    if pickled:
        torch.save({"a": weight, "tied": weight}, folder / "pytorch_model.bin")
    else:
        save_file({"a": weight}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tf_model.h5").write_bytes(b"another framework's")
    if leave_out:
        (folder / leave_out).unlink()
    return folder


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def wordnet(**more: bytes) -> bytes:
    files = {f"wordnet/{name}": name.encode() for name in pretrained.WORDNET_FILES}
    return zipped({**files, **more})


def test_off_makes_folders_with_empty_manifests(tmp_path: Path) -> None:
    assert bring(tmp_path) == dict.fromkeys(("blip", "lpips", "wordnet"), NOTHING)
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/*/*"))
    assert files == [f"{part}/manifest.json" for part in ("blip", "lpips", "wordnet")]


def test_what_is_asked_for_replaces_what_was_there(tmp_path: Path) -> None:
    checkpoint(tmp_path / "mine" / "retrieval")
    checkpoint(tmp_path / "mine" / "captioner")
    assert bring(tmp_path, blip=str(tmp_path / "mine"))["blip"] != NOTHING
    assert bring(tmp_path)["blip"] == NOTHING
    assert not (tmp_path / "out" / "blip" / "retrieval").exists()


def test_an_off_that_yaml_takes_for_false_is_off(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("pretrained: {blip: false, lpips: off, lpips_net: vgg, wordnet: 'off'}")
    assert load_section(path, "pretrained", Pretrained).blip == "off"


@pytest.mark.parametrize("pickled", [False, True])
def test_local_checkpoints_are_copied_with_safe_weights_only(tmp_path: Path, pickled: bool) -> None:
    for part in CHECKPOINTS:
        checkpoint(tmp_path / "mine" / part, pickled=pickled)
    manifest = bring(tmp_path, blip=str(tmp_path / "mine"))
    for part in CHECKPOINTS:
        folder = tmp_path / "out" / "blip" / part
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "config.json",
            "preprocessor_config.json",
            "tokenizer_config.json",
            "vocab.txt",
            "model.safetensors",
        }
        assert load_file(folder / "model.safetensors")["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
        digest = hashlib.sha256((folder / "vocab.txt").read_bytes()).hexdigest()
        assert manifest["blip"]["files"][f"{part}/vocab.txt"] == digest


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harmed",))

    for part in CHECKPOINTS:
        folder = checkpoint(tmp_path / "mine" / part, pickled=True)
        torch.save({"a": Harm()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pretrained\.blip = .* is no file of tensors alone"):
        bring(tmp_path, blip=str(tmp_path / "mine"))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("missing", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_checkpoint_that_is_not_whole_is_named(tmp_path: Path, missing: str) -> None:
    for part in CHECKPOINTS:
        checkpoint(tmp_path / "mine" / part, leave_out=missing)
    with pytest.raises(UserError, match=rf"pretrained\.blip = .*retrieval.*{missing}"):
        bring(tmp_path, blip=str(tmp_path / "mine"))


def test_a_local_backbone_is_where_torch_looks_for_it(tmp_path: Path) -> None:
    name = BACKBONES["squeeze"]
    source = tmp_path / "torch" / "hub" / "checkpoints"
    source.mkdir(parents=True)
    (source / name).write_bytes(b"weights")
    manifest = bring(tmp_path, lpips=str(tmp_path / "torch"))
    assert (tmp_path / "out" / "lpips" / "hub" / "checkpoints" / name).read_bytes() == b"weights"
    assert manifest["lpips"]["origin"] == str(source / name)


def test_a_fetched_backbone_must_have_the_hash_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"the weights"
    right = f"net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    monkeypatch.setitem(pretrained.BACKBONES, "alex", right)
    with ImageServer() as server:
        server.files.update({right: body, BACKBONES["vgg"]: body})
        urls = {"backbones_from": server.url("file").rstrip("/")}
        bring(tmp_path, urls, lpips="fetch", lpips_net="alex")
        assert (tmp_path / "out/lpips/hub/checkpoints" / right).read_bytes() == body
        with pytest.raises(UserError, match=r"pretrained\.lpips = 'fetch': .* not 397923af"):
            bring(tmp_path / "other", urls, lpips="fetch", lpips_net="vgg")


def test_wordnet_is_unpacked_and_nothing_beside_it(tmp_path: Path) -> None:
    hostile = {"../evil": b"x", "wordnet/../../evil": b"x", "/evil": b"x", "other/data.noun": b"x"}
    with ImageServer() as server:
        server.files["wordnet.zip"] = wordnet(**hostile)
        urls = {"wordnet_from": server.url("file").rstrip("/")}
        bring(tmp_path, urls, wordnet="fetch")
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    expected = {f"wordnet/corpora/wordnet/{name}" for name in pretrained.WORDNET_FILES}
    assert found == {*expected, *(f"{part}/manifest.json" for part in OFF if part != "lpips_net")}
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no zip", "cannot be unpacked"),
        (zipped({"wordnet/data.noun": b"x"}), r"lacks wordnet/data\.adj"),
    ],
)
def test_a_wordnet_that_is_none_is_refused(tmp_path: Path, body: bytes, message: str) -> None:
    with ImageServer() as server:
        server.files["wordnet.zip"] = body
        urls = {"wordnet_from": server.url("file").rstrip("/")}
        with pytest.raises(UserError, match=message):
            bring(tmp_path, urls, wordnet="fetch")


def test_a_wordnet_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "LARGEST_UNPACKED", 1000)
    corpora = tmp_path / "nltk" / "corpora"
    corpora.mkdir(parents=True)
    (corpora / "wordnet.zip").write_bytes(wordnet(**{"wordnet/big": bytes(2000)}))
    with pytest.raises(UserError, match="unpacks to more than 1000 bytes"):
        bring(tmp_path, wordnet=str(tmp_path / "nltk"))


@pytest.mark.parametrize("key", ["blip", "lpips", "wordnet"])
def test_a_path_that_is_not_there_is_named_with_what_is_expected(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"pretrained\.{key} = .*none.*expected"):
        bring(tmp_path, **{key: str(tmp_path / "none")})


@pytest.mark.parametrize("key", ["lpips", "wordnet"])
def test_what_cannot_be_fetched_is_named_with_the_reason(tmp_path: Path, key: str) -> None:
    with ImageServer() as server:
        urls = {k: server.url("missing") for k in ("backbones_from", "wordnet_from")}
        with pytest.raises(UserError, match=rf"pretrained\.{key} = 'fetch': http.*http_404"):
            bring(tmp_path, urls, **{key: "fetch"})


def test_the_real_resources_arrive_and_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/pretrained")
    bring(tmp_path, lpips=str(SHARED / "torch"), wordnet=str(SHARED / "nltk_data"))
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "out" / "wordnet")])
    reader = WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)
    assert reader.synsets("apple")


class _Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face Hub as fetching a snapshot needs."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "api":
            repository = "/".join(parts[2:4])
            paths = sorted((self.folder / repository).iterdir())
            files = [path.name for path in paths]
            tree = [
                {"type": "file", "oid": "0" * 40, "size": p.stat().st_size, "path": p.name}
                for p in paths
            ]
            body: Any = (
                tree
                if "tree" in parts
                else {
                    "id": repository,
                    "modelId": repository,
                    "sha": "c" * 40,
                    "siblings": [{"rfilename": name} for name in files],
                }
            )
            self._send(json.dumps(body).encode(), {"Content-Type": "application/json"})
            return
        file = self.folder / parts[0] / parts[1] / parts[-1]
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self._send(data, {"ETag": f'"{digest}"', "X-Repo-Commit": "c" * 40})

    do_HEAD = do_GET

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A loopback Hub that serves folder/Salesforce/NAME."""
    import huggingface_hub.constants as constants
    import huggingface_hub.hf_api as hf_api

    handler = type("Hub", (_Hub,), {"folder": tmp_path / "hub"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(hf_api.api, "endpoint", address)
    yield tmp_path / "hub"
    server.shutdown()
    server.server_close()


def test_fetched_checkpoints_come_from_the_hub_with_their_revision(
    tmp_path: Path, hub: Path
) -> None:
    for part, repository in CHECKPOINTS.items():
        checkpoint(hub / repository, pickled=part == "captioner")
    manifest = bring(tmp_path, blip="fetch")
    assert manifest["blip"]["origin"]["retrieval"] == f"{CHECKPOINTS['retrieval']}@{'c' * 40}"
    assert set(manifest["blip"]["files"]) == {
        f"{part}/{name}"
        for part in CHECKPOINTS
        for name in (
            "config.json",
            "model.safetensors",
            "preprocessor_config.json",
            "tokenizer_config.json",
            "vocab.txt",
        )
    }


def test_checkpoints_are_fetched_once_until_a_refresh_is_asked_for(
    tmp_path: Path, hub: Path
) -> None:
    for repository in CHECKPOINTS.values():
        checkpoint(hub / repository)
    first = bring(tmp_path, blip="fetch")
    shutil.rmtree(hub)  # from here on it knows nothing
    assert bring(tmp_path, blip="fetch") == first
    with pytest.raises(UserError, match=r"pretrained\.blip = 'fetch': Salesforce/"):
        bring(tmp_path, http=TEST_HTTP.model_copy(update={"refresh": 1}), blip="fetch")


def test_a_hub_that_does_not_answer_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UserError, match=r"pretrained\.blip = 'fetch': Salesforce/") as caught:
        bring(tmp_path, blip="fetch")
    assert "\n" not in str(caught.value)
