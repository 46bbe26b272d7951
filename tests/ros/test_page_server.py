"""The page's server: what an open page receives, what it may do, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import ssl
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from sensor_msgs.msg import CompressedImage
from thumb_gesture.msg import Recording

from conftest import TrainedModel
from harness import BEST_EFFORT, CAMERA, IN_NAMESPACE, NAMESPACE, NODE, REPOSITORY, TRANSIENT_LOCAL, Program, World
from web import BINARY, TEXT, Refused, Site, Viewer, free_port, start_page

JPEG = b"\xff\xd8\xff"
RENEWAL = 0.25
# A recording without a lease ends within a second; half a second is for a busy machine.
LOST_AFTER = 1.0 + 0.5
# After the last message of a killed node, plus the time of a busy machine.
GONE_AFTER = 2.5 + 2.5


@pytest.fixture
def site(world: World) -> Site:
    """A page of a node with a camera, and with an empty dataset."""
    world.start_node(image_reliability="reliable", recognizer="image")
    world.start_camera("--rate", "30", "--show", "thumbs_up")
    return start_page(world)[1]


@pytest.fixture
def viewer(site: Site) -> Iterator[Viewer]:
    """An open page that has all of the state, and pictures."""
    with Viewer(site) as viewer:
        viewer.wait_for(is_complete, "the state of the node, and a picture")
        yield viewer


def is_complete(viewer: Viewer) -> bool:
    """Whether a page has all that it shows."""
    names = {"node", "cameras", "model", "dataset", "training", "recording", "parameters", "diagnostics", "page"}
    return names <= set(viewer.state) and viewer.state["node"]["present"] and bool(viewer.jpeg)


def has_node(viewer: Viewer) -> bool:
    """Whether the page knows that the node is there."""
    return viewer.state.get("node", {}).get("present", False)


def image_of(viewer: Viewer) -> bytes:
    """A picture of the camera."""
    viewer.wait_for(lambda viewer: viewer.jpeg, "a picture")
    return viewer.jpeg


def files_of(world: World) -> set[str]:
    """The paths of the frames."""
    labels = (label for label in world.dataset.glob("[!.]*"))
    return {str(file.relative_to(world.dataset)) for label in labels for file in label.rglob("*") if file.is_file()}


class TestView:
    """What an open page shows."""

    def test_page_has_the_whole_state_and_pictures(self, site: Site, viewer: Viewer) -> None:
        state = viewer.state
        assert state["node"] == {"present": True, "lifecycle": "active", "name": NODE}
        assert [camera["topic"] for camera in state["cameras"]] == [CAMERA]
        assert state["recording"]["active"] is False and state["recording_mine"] is False
        assert state["page"]["viewers"] == 1 and state["page"]["browser_camera"] is False
        threshold = next(entry for entry in state["parameters"] if entry["name"] == "threshold")
        assert (threshold["value"], threshold["default"]) == (0.5, 0.5)
        assert (threshold["minimum"], threshold["maximum"]) == (0, 1)
        assert viewer.jpeg.startswith(JPEG)
        assert (viewer.picture["width"], viewer.picture["height"]) == (320, 240)
        stamps = []
        for _ in range(10):
            viewer.update()
            stamps += [viewer.picture["stamp"]] if viewer.picture else []
        assert stamps == sorted(set(stamps)), "newer pictures only"
        assert abs(stamps[-1] - time.time()) < 1

    def test_gestures_are_told_with_their_age(self, world: World, trained_world: World) -> None:
        world.start_node(image_reliability="reliable")
        world.start_camera("--rate", "30", "--show", "thumbs_up")
        with Viewer(start_page(world)[1]) as viewer:
            viewer.wait_for(lambda viewer: viewer.gestures.get("", {}).get("stable"), "a stable gesture")
            gesture = viewer.gestures[""]
            assert gesture["label"] == "thumbs_up"
            assert 0 <= gesture["received"] < 1 and 0 <= gesture["age"] < 1

    def test_gestures_are_found_where_the_node_publishes_them(self, world: World, trained_world: World) -> None:
        world.start_node("-r", "thumb_gesture:=/seen/gestures", image_reliability="reliable")
        world.start_camera("--rate", "30", "--show", "thumbs_up")
        with Viewer(start_page(world)[1]) as viewer:
            viewer.wait_for(lambda viewer: viewer.gestures.get("", {}).get("label") == "thumbs_up", "a gesture")

    def test_one_request_has_one_answer(self, viewer: Viewer) -> None:
        viewer.update()
        assert viewer.socket.is_silent(1.0), "no picture without a request"
        viewer.update()

    def test_nothing_is_subscribed_to_without_a_page(self, world: World, site: Site) -> None:
        def subscribers() -> int:
            return len(world.peer.get_subscriptions_info_by_topic(CAMERA))

        world.wait_for(lambda: subscribers() == 1, "the node subscribes")
        world.spin_for(1.0)
        assert subscribers() == 1, "not by the page"
        with Viewer(site) as viewer:
            image_of(viewer)
            world.wait_for(lambda: subscribers() == 2, "the page subscribes")
        world.wait_for(lambda: subscribers() == 1, "the page ends its subscription")

    def test_two_pages_see_the_same(self, site: Site, viewer: Viewer) -> None:
        with Viewer(site) as other:
            other.wait_for(is_complete, "the state of the node")
            viewer.wait_for(lambda viewer: viewer.state["page"]["viewers"] == 2, "two viewers")
            assert viewer.ask({"record": {"label": "none"}}, "record")["success"]
            other.wait_for(lambda other: other.state["recording"]["active"], "a recording")
            viewer.wait_for(lambda viewer: viewer.state["recording_mine"], "a recording of its own")
            assert other.state["recording"]["label"] == "none" and other.state["recording_mine"] is False
            refused = other.ask({"record": {"label": "fist"}}, "record")
            assert not refused["success"] and "another capture or recording is running" in refused["message"]
        viewer.wait_for(lambda viewer: viewer.state["page"]["viewers"] == 1, "one viewer")

    def test_node_that_is_killed_and_comes_back(self, world: World, site: Site, viewer: Viewer) -> None:
        node = next(program for program in world.programs if program.name == "thumb_gesture_node")
        world.programs.remove(node)
        node.kill()
        viewer.wait_for(lambda viewer: not viewer.state["node"]["present"], "that the node is gone", GONE_AFTER)
        answer = site.post("/api/list_models")
        assert answer.status == 504 and "gesture node" in answer.error()
        refused = viewer.ask({"record": {"label": "none"}}, "record")
        assert not refused["success"]
        world.start_node(image_reliability="reliable", recognizer="image")
        viewer.wait_for(lambda viewer: viewer.state["node"]["present"], "that the node is back")
        assert viewer.ask({"record": {"label": "none"}}, "record")["success"]

    def test_several_cameras(self, world: World) -> None:
        world.start_node(image_reliability="reliable", cameras="[front, rear]", recognizer="image")
        for name in ["front", "rear"]:
            world.start_camera("--rate", "20", "--show", "none", name=name)
        with Viewer(start_page(world)[1], ["front", "rear"]) as viewer:
            seen: set[str] = set()

            def sees_both(viewer: Viewer) -> bool:
                seen.update([viewer.picture["camera"]] if viewer.picture else [])
                return seen == {"front", "rear"}

            viewer.wait_for(sees_both, "pictures of both cameras")
            assert [camera["name"] for camera in viewer.state["cameras"]] == ["front", "rear"]
            viewer.cameras = ["rear"]
            for _ in range(5):
                viewer.update()
                assert viewer.picture is None or viewer.picture["camera"] == "rear"

    def test_camera_of_a_robot_that_joins_is_shown_and_taught(self, trained_world: World) -> None:
        world = trained_world
        world.start_node(image_reliability="reliable", cameras="[front]", recognizer="image")
        robot = "/robot1/camera"
        world.start("photo_camera", "--size", "320x240", "--show", "none", "--ros-args", "-r", "__ns:=/robot1")
        site = start_page(world)[1]
        with Viewer(site, [robot]) as viewer:
            viewer.wait_for(lambda viewer: viewer.state.get("cameras"), "the first camera")
            assert not world.set_cameras("front", robot)
            image_of(viewer)
            viewer.wait_for(lambda viewer: robot in viewer.gestures, "its gestures")
            assert [camera["name"] for camera in viewer.state["cameras"]] == ["front", robot]
            answer = site.call("correct", label="fist", camera=robot)
            assert answer["success"], answer
            assert all(file.stem.endswith("_robot1-camera") for file in Path(world.dataset, "fist").iterdir())
            assert not world.set_cameras("front")
            viewer.wait_for(lambda viewer: len(viewer.state["cameras"]) == 1, "that the camera is gone")

    def test_compressed_pictures_are_passed_on_as_they_are(self, world: World) -> None:
        world.start_node(image_reliability="reliable", recognizer="image", image_transport="compressed")
        images = world.listen(CompressedImage, f"{CAMERA}/compressed", BEST_EFFORT)
        world.start_camera("--rate", "20", "--show", "none", "--compressed")
        with Viewer(start_page(world)[1]) as viewer:
            image_of(viewer)
            deadline = time.monotonic() + 10
            # Either of the two may miss some pictures.
            while viewer.jpeg not in [bytes(image.data) for image in images]:
                assert time.monotonic() < deadline, "no picture is the camera's"
                viewer.update()
                world.spin_for(0.2)


class TestRecording:
    """A held button."""

    def hold(self, viewer: Viewer, frames: int) -> None:
        """Renews a recording until it has so many frames."""
        renewed = 0.0

        def is_met(viewer: Viewer) -> bool:
            nonlocal renewed
            if time.monotonic() - renewed > RENEWAL:
                renewed = time.monotonic()
                viewer.socket.send({"renew": True})
            recording = viewer.state["recording"]
            return recording["active"] and recording["saved"] >= frames

        viewer.wait_for(is_met, f"{frames} recorded frames")

    def test_frames_are_recorded_while_the_button_is_held(self, world: World, site: Site, viewer: Viewer) -> None:
        assert viewer.ask({"record": {"label": "thumbs_up", "camera": ""}}, "record")["success"]
        self.hold(viewer, 40)
        viewer.socket.send({"stop": True})
        viewer.wait_for(lambda viewer: not viewer.state["recording"]["active"], "the end", 2)
        saved = viewer.state["recording"]["saved"]
        viewer.wait_for(lambda viewer: viewer.state["dataset"]["frames"] == [saved], "the frames on ~/dataset")
        listed = site.call("list_frames", label="thumbs_up", thumbnails=True, limit=3)
        assert listed["total"] == saved and len({frame["burst"] for frame in listed["frames"]}) == 1
        assert all(frame["thumbnail"].startswith("/9j/") for frame in listed["frames"]), "JPEG in base64"
        deleted = site.call("delete_last_burst")
        assert deleted["success"] and not files_of(world)
        assert site.call("undo_edit")["success"] and len(files_of(world)) == saved

    @pytest.mark.parametrize("way", ["closed", "silent"])
    def test_lost_page_ends_its_recording_within_a_second(self, world: World, viewer: Viewer, way: str) -> None:
        recordings = world.listen(Recording, f"{NODE}/recording", TRANSIENT_LOCAL)
        assert viewer.ask({"record": {"label": "none"}}, "record")["success"]
        self.hold(viewer, 10)
        if way == "closed":
            viewer.socket.socket.close()
        lost = time.monotonic()
        recordings.clear()
        world.wait_for(lambda: recordings and not recordings[-1].active, "the end of the recording", timeout=5)
        assert time.monotonic() - lost < LOST_AFTER

    def test_label_that_is_no_name_is_refused(self, world: World, viewer: Viewer) -> None:
        for label in ["../up", "<b>x</b>", "", "a" * 65]:
            answer = viewer.ask({"record": {"label": label}}, "record")
            assert not answer["success"] and "a-z" in answer["message"], label
        assert viewer.ask({"record": {"label": "none", "camera": "side"}}, "record")["success"] is False
        refusal = viewer.ask({"record": {"label": "x\0y"}}, "error")
        assert "NUL" in refusal["message"] and refusal["about"] == "message"

    def test_invalid_messages_are_answered(self, viewer: Viewer) -> None:
        socket = viewer.socket
        for message in [b"", b"{", b"[]", b'{"next": {}}', b'{"dance": true}', b"\xf0\x9f\x91\x8d", b"1" * 70_000]:
            socket.send_frame(TEXT, message)
            assert socket.receive()["error"]["about"] == "message", message[:20]
        socket.send({"next": {"cameras": ["no such camera"] * 10}})
        assert socket.receive()["update"]["picture"] is None
        viewer.update()

    def test_long_message_ends_the_connection_only(self, site: Site, viewer: Viewer) -> None:
        with pytest.raises(ConnectionError):
            viewer.socket.send_frame(BINARY, bytes(5 << 20))
            viewer.socket.receive()
        with Viewer(site) as other:
            other.wait_for(is_complete, "another page")


class TestDataset:
    """Images that come from a page, and go to it."""

    def test_image_is_added_and_comes_back(self, world: World, site: Site, viewer: Viewer) -> None:
        image = image_of(viewer)
        answers = [site.upload("wave", image, burst="holiday", camera="front").json() for _ in range(2)]
        assert all(answer["success"] for answer in answers), answers
        other = site.upload("wave", image).json()
        assert all(answer["frame"].endswith("_front.jpg") for answer in answers), "with their camera"
        bursts = [answer["frame"].split("_")[0] for answer in [*answers, other]]
        assert bursts[0] == bursts[1] != bursts[2], "one burst for one name"
        assert files_of(world) == {answer["frame"] for answer in [*answers, other]}
        back = site.get(f"/api/image?frame={quote(other['frame'])}")
        assert back.headers["content-type"] == "image/jpeg"
        assert back.body == (world.dataset / other["frame"]).read_bytes()
        viewer.wait_for(lambda viewer: viewer.state["dataset"]["frames"] == [3], "the frames on ~/dataset")

    @pytest.mark.parametrize(
        ("label", "image", "reason"),
        [
            ("none", b"<html>", "not valid"),
            ("none", b"", "not valid"),
            ("none", JPEG + bytes(100), "not valid"),
            ("none", b"\x89PNG\r\n\x1a\n" + bytes(1000), "not valid"),
            ("../up", b"", "a-z"),
            ("<script>", b"", "a-z"),
        ],
    )
    def test_rubbish_is_refused_with_a_reason(
        self, world: World, site: Site, viewer: Viewer, label: str, image: bytes, reason: str
    ) -> None:
        answer = site.upload(label, image).json()
        assert not answer["success"] and reason in answer["message"]
        assert not site.upload("none", image_of(viewer), burst="a/../b").json()["success"]
        assert not files_of(world)

    def test_huge_upload_is_refused_early(self, site: Site, viewer: Viewer) -> None:
        connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
        connection.putrequest("POST", "/api/frames?label=none")
        connection.putheader("Origin", site.origin)
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        # Nothing of the body was sent.
        assert connection.getresponse().status == 413
        connection.close()

    def test_endless_upload_is_refused(self, site: Site, viewer: Viewer) -> None:
        sent = 0

        def chunks() -> Iterator[bytes]:
            nonlocal sent
            while sent < 1 << 30:
                sent += 1 << 20
                yield bytes(1 << 20)

        try:
            answer = site.request("POST", "/api/frames?label=none", chunks(), {"Transfer-Encoding": "chunked"})
            assert answer.status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # The page has closed the connection, and the answer is lost.
        assert sent < 64 << 20
        assert site.call("list_models")["models"] == []

    @pytest.mark.parametrize(
        "path",
        ["../secret.jpg", "none/../../secret.jpg", "/etc/passwd", ".trash/edit.json", "none/none.jpg", ""],
    )
    def test_only_frames_of_the_dataset_are_shown(self, world: World, site: Site, viewer: Viewer, path: str) -> None:
        assert site.upload("none", image_of(viewer)).json()["success"]
        (world.directory / "secret.jpg").write_bytes(viewer.jpeg)
        answer = site.get(f"/api/image?frame={quote(path)}")
        assert answer.status == 404 and "no frame" in answer.error()

    def test_nul_is_refused(self, site: Site, viewer: Viewer) -> None:
        assert site.get("/api/image?frame=none%00/a.jpg").status == 400
        assert site.post("/api/delete_model", {"model_id": "a\0"}).status == 400
        assert site.call("list_models")["models"] == []

    def test_assets_are_the_pages_own_files_only(self, site: Site) -> None:
        index = site.get("/", **{"Accept-Encoding": "gzip"})
        assert index.status == 200 and index.headers["content-encoding"] == "gzip"
        again = site.get("/", **{"If-None-Match": index.headers["etag"]})
        assert again.status == 304 and not again.body
        for path in ["/assets/../main.rs", "/assets/%2e%2e/main.rs", "/assets/..%2fmain.rs", "/etc/passwd", "/assets/"]:
            assert site.get(path).status == 404, path

    def test_pictures_of_the_last_seconds_are_added(self, world: World, site: Site, viewer: Viewer) -> None:
        end = time.monotonic() + 2.5
        viewer.wait_for(lambda _: time.monotonic() > end, "pictures of two seconds")
        answer = site.call("correct", label="fist", camera="")
        assert answer["success"] and 6 <= answer["saved"] <= 12, answer
        assert len({name.rsplit("_", 1)[0] for name in files_of(world)}) == 1, "one burst"
        assert len(files_of(world)) == answer["saved"]
        assert set(answer["frames"]) == files_of(world), "what an undo deletes"
        viewer.wait_for(lambda viewer: viewer.picture, "a picture")
        sequence = viewer.picture["sequence"]
        assert site.call("correct", label="fist", until=0)["success"] is False
        assert site.call("correct", label="fist", until=sequence)["success"] is True
        assert site.call("correct", label="../x")["success"] is False

    def test_dataset_is_downloaded(self, world: World, trained_world: World) -> None:
        world.start_node()
        _, site = start_page(world)
        with Viewer(site) as viewer:
            viewer.wait_for(has_node, "the node")
        answer = site.get("/api/dataset.zip")
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert set(archive.namelist()) == files_of(world)
            for name in archive.namelist():
                assert archive.read(name) == (world.dataset / name).read_bytes()


class TestServices:
    """Services and parameters of the node over HTTP."""

    def test_only_listed_services_are_called(self, site: Site, viewer: Viewer) -> None:
        unknown = site.post("/api/change_state")
        assert unknown.status == 404 and "retrain" in unknown.error()
        wrong = site.post("/api/list_frames", {"lable": "none"})
        assert wrong.status == 400 and "lable" in wrong.error()
        for body in [b"{", b"[1]", b'{"label": 5}', b'"x"']:
            assert site.request("POST", "/api/list_frames", body).status == 400, body
        too_long = {"Content-Length": str(2 << 20)}
        assert site.request("POST", "/api/list_frames", b"", too_long).status == 413

    def test_nothing_changes_by_get(self, site: Site) -> None:
        for path in ["/api/clear_trash", "/api/retrain", "/api/frames?label=none", "/api/set_parameters", "/api/correct"]:
            assert site.get(path).status == 405, path

    def test_parameters_are_set_and_changes_of_others_are_seen(self, world: World, site: Site, viewer: Viewer) -> None:
        def value(viewer: Viewer, name: str) -> Any:
            return next(entry["value"] for entry in viewer.state["parameters"] if entry["name"] == name)

        assert site.call("set_parameters", threshold=0.75) == {
            "results": [{"name": "threshold", "successful": True, "reason": ""}]
        }
        viewer.wait_for(lambda viewer: value(viewer, "threshold") == 0.75, "the new threshold")
        (refused,) = site.call("set_parameters", margin=7)["results"]
        assert not refused["successful"] and "margin is 7" in refused["reason"]
        assert site.post("/api/set_parameters", {"dataset": "/"}).status == 400
        assert site.post("/api/set_parameters", {"threshold": "high"}).status == 400
        from rcl_interfaces.msg import Parameter, ParameterValue
        from rcl_interfaces.srv import SetParameters

        changed = Parameter(name="hold_time", value=ParameterValue(type=3, double_value=2.5))
        world.call("set_parameters", SetParameters, parameters=[changed])
        viewer.wait_for(lambda viewer: value(viewer, "hold_time") == 2.5, "the change of another program")

    def test_models_and_results(self, world: World, trained_world: World, trained: TrainedModel) -> None:
        world.start_node()
        _, site = start_page(world)
        with Viewer(site) as viewer:
            viewer.wait_for(has_node, "the node")
            (model,) = site.call("list_models")["models"]
            assert model["model_id"] == trained.model_id and model["active"] and model["created"] > 1.7e9
            results = site.call("get_results", model_id=trained.model_id)["results"]
            assert results["labels"] == ["none", "thumbs_down", "thumbs_up"]
            assert sum(map(sum, results["confusion"])) == results["validation_frames"]
            missing = site.call("get_results", model_id="../../x")
            assert not missing["success"] and missing["message"]
            report = site.get(f"/api/report?model_id={trained.model_id}")
            assert report.status == 200 and report.headers["content-security-policy"].startswith("sandbox;")
            assert site.get("/api/report?model_id=x").status == 404 and site.get("/api/report").status == 400
            compared = site.call("compare_models", model_ids=[trained.model_id, "builtin"])
            assert compared["success"], compared["message"]
            assert compared["results"]["frames"] == 24 and compared["results"]["unseen_frames"] == 0
            assert [entry["model_id"] for entry in compared["results"]["models"]] == [trained.model_id, "builtin"]
            assert compared["results"]["models"][0]["accuracy"] > 0.8
            assert not site.call("compare_models", model_ids=[trained.model_id])["success"]
            started = site.call("retrain", epochs=3)
            assert started["success"], started["message"]
            viewer.wait_for(lambda viewer: viewer.state["training"]["state"] >= 2, "the end of the training", 120)
            assert viewer.state["training"]["state"] == 2, viewer.state["training"]["message"]


class TestAccess:
    """Who may use the page."""

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "x" * 300])
    def test_foreign_host_is_refused(self, site: Site, host: str) -> None:
        assert site.get("/", Host=host).status == 403
        assert b"<b>" not in site.get("/", Host="<b>", Accept="text/html").body
        with pytest.raises(Refused) as refused:
            site.open(Host=host)
        assert refused.value.status == 403

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"])
    def test_foreign_origin_is_refused(self, site: Site, origin: str) -> None:
        assert site.post("/api/clear_trash", Origin=origin).status == 403
        with pytest.raises(Refused) as refused:
            site.open(Origin=origin)
        assert refused.value.status == 403

    def test_names_of_this_machine_are_accepted(self, world: World) -> None:
        _, site = start_page(world, allowed_hosts="[robot.example.org]")
        for host in ["localhost", f"127.0.0.1:{site.port}", f"[::1]:{site.port}", "jetbot.local", "Robot.example.org"]:
            assert site.get("/", Host=host).status == 200, host

    def test_headers_protect_the_page(self, site: Site) -> None:
        headers = site.get("/").headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert site.get("/api/image?frame=x").headers["cache-control"] == "no-store"

    def test_page_for_the_network_needs_its_token(self, world: World) -> None:
        world.start_node(recognizer="image")
        program, site = start_page(world, page_address="0.0.0.0")
        token = program.output().split("token=")[1].split()[0]
        assert len(token) == 32 and "▀" in program.output(), "a QR code"
        for path in ["/", "/assets/index.html", "/api/dataset.zip", "/api/image?frame=x", "/?token=", "/?token=wrong"]:
            answer = site.get(path)
            assert answer.status == 401 and "token" in answer.error(), path
        page = site.get("/?token=old", Accept="text/html,application/xhtml+xml")
        assert page.status == 401 and b"<h1>" in page.body and b"token is wrong" in page.body, "a page for people"
        assert site.post("/api/list_models").status == 401
        with pytest.raises(Refused) as refused:
            site.open()
        assert refused.value.status == 401
        entered = site.get(f"/?token={token}")
        assert entered.status == 303 and token not in entered.headers["location"]
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        sent = {"Cookie": cookie.split(";")[0]}
        assert site.get("/", **sent).status == 200
        assert site.get(entered.headers["location"], **sent).status == 200
        with Viewer(site, **sent) as viewer:
            viewer.wait_for(has_node, "the node")
        assert site.get("/", Cookie=f"{cookie.split('=')[0]}={token[:-1]}x").status == 401
        for _ in range(30):
            status = site.get("/?token=guess").status
        assert status == 429, "attempts are limited"
        assert site.get("/", **sent).status == 200, "but not for those who have the token"

    def test_connection_is_encrypted_on_request(self, world: World) -> None:
        home = world.directory / "ros"
        given = {"page_port": free_port(), "tls": "true"}
        options = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
        program = world.start("teach_page", *IN_NAMESPACE, *options, ROS_HOME=str(home))
        world.wait_for(lambda: "https://127.0.0.1" in program.output(), "the address of the page", program)
        trust = ssl.create_default_context(cafile=str(home / "teach_page" / "certificate.pem"))
        with urllib.request.urlopen(f"https://localhost:{given['page_port']}/", context=trust, timeout=10) as answer:
            assert answer.status == 200
        assert (home / "teach_page" / "key.pem").stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize(
        ("parameters", "reason"),
        [
            ({"page_address": "robot"}, "page_address"),
            ({"page_port": 70000}, "page_port"),
            ({"page_port": "'8080'"}, "page_port"),
            ({"gesture_node": "'a b'"}, "gesture_node"),
            ({"tls_certificate": "/nowhere.pem"}, "tls_key"),
            ({"tls_certificate": "/nowhere.pem", "tls_key": "/nowhere.pem"}, "/nowhere.pem"),
            ({"page_address": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
        ],
    )
    def test_invalid_parameters_end_the_program(self, world: World, parameters: dict[str, Any], reason: str) -> None:
        program, _ = start_page(world, waits=False, **parameters)
        assert program.wait(20) == 1 and reason in program.output(), program.output()
        world.programs.remove(program)

    def test_port_in_use_is_named(self, world: World, site: Site) -> None:
        program, _ = start_page(world, waits=False, page_port=site.port)
        assert program.wait(20) == 1 and f"cannot listen on 127.0.0.1:{site.port}" in program.output()
        world.programs.remove(program)


class TestBrowserCamera:
    """The camera of a visitor's device."""

    @pytest.fixture
    def lending(self, world: World) -> Site:
        """A page that takes pictures from visitors, of a node without another camera."""
        world.start_node(image_transport="compressed", recognizer="image", image_reliability="reliable")
        return start_page(world, browser_camera="true")[1]

    def test_pictures_become_the_camera_of_the_node(
        self, world: World, lending: Site
    ) -> None:
        images = world.listen(CompressedImage, f"{CAMERA}/compressed", BEST_EFFORT)
        jpeg = jpeg_of(world)
        with Viewer(lending) as viewer:
            viewer.wait_for(has_node, "the node")
            assert viewer.state["page"]["browser_camera"] is True
            assert viewer.ask({"camera": True}, "camera_credit")

            def sees_itself(viewer: Viewer) -> bool:
                viewer.socket.send_frame(BINARY, jpeg)
                while not any("camera_credit" in reply for reply in viewer.replies):
                    viewer.update()
                viewer.replies.clear()
                return viewer.jpeg == jpeg

            viewer.wait_for(sees_itself, "its own picture")
            world.spin_for(0.2)
            assert bytes(images[-1].data) == jpeg and abs(images[-1].header.stamp.sec - time.time()) < 3
            with Viewer(lending) as other:
                assert "in use" in other.ask({"camera": True}, "error")["message"]
            for rubbish in [b"", b"GIF89a", JPEG + bytes(50), jpeg[: len(jpeg) // 2]]:
                viewer.socket.send_frame(BINARY, rubbish)
                reply = viewer.socket.receive()
                assert reply["error"]["about"] == "camera", rubbish[:10]
                assert "camera_credit" in viewer.socket.receive()
            viewer.socket.send({"camera": False})
            with Viewer(lending) as other:
                deadline = time.monotonic() + 5
                while True:
                    other.socket.send({"camera": True})
                    if "camera_credit" in other.socket.receive():
                        break
                    assert time.monotonic() < deadline, "the other camera was given back"

    def test_camera_without_pictures_can_be_taken_over(self, world: World, lending: Site) -> None:
        jpeg = jpeg_of(world)
        with Viewer(lending) as lost, Viewer(lending) as other:
            assert lost.ask({"camera": True}, "camera_credit")
            assert "in use" in other.ask({"camera": True}, "error")["message"]
            deadline = time.monotonic() + 5
            while "camera_credit" not in (other.socket.send({"camera": True}), other.socket.receive())[1]:
                assert time.monotonic() < deadline, "it is not taken over"
                time.sleep(0.2)
            lost.socket.send_frame(BINARY, jpeg)
            assert "in use" in str(lost.socket.receive())
            lost.socket.send({"camera": False})
            other.socket.send_frame(BINARY, jpeg)
            assert "camera_credit" in other.socket.receive(), "the end of the first one does not end the second one"

    def test_visitors_cameras_are_refused_by_default(self, viewer: Viewer) -> None:
        assert "browser_camera" in viewer.ask({"camera": True}, "error")["message"]
        viewer.socket.send_frame(BINARY, JPEG)
        assert viewer.socket.receive()["error"]["about"] == "camera"


def jpeg_of(world: World) -> bytes:
    """A JPEG of the package's camera, from another topic."""
    images = world.listen(CompressedImage, "/jetbot/side/image_raw/compressed", BEST_EFFORT)
    camera = world.start_camera("--compressed", "--show", "thumbs_up", "--count", "200", name="side")
    world.wait_for(lambda: images, "a JPEG", camera)
    assert camera.end() == 0
    return bytes(images[-1].data)


def test_program_ends_at_once_with_open_pages(world: World, site: Site, viewer: Viewer) -> None:
    page = next(program for program in world.programs if program.name == "teach_page")
    before = time.monotonic()
    assert page.end() == 0
    assert time.monotonic() - before < 5, "it does not wait for those who have it open"


def test_help_names_the_parameters(world: World) -> None:
    output = subprocess.run(["teach_page", "--help"], capture_output=True, text=True, check=True).stdout
    assert "page_address" in output and "--assets" in output


def test_directory_replaces_the_files_of_the_page(world: World, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "index.html").write_text("<!doctype html>mine")
    port = free_port()
    program = world.start("teach_page", "--assets", str(assets), *IN_NAMESPACE, "-p", f"page_port:={port}")
    world.wait_for(lambda: "The page is at " in program.output(), "the address of the page", program)
    assert Site(port).get("/").body == b"<!doctype html>mine"
    assert json.loads(Site(port).get("/assets/none.js").body)["error"]


def rights_in_use(world: World, node: str) -> set[tuple[str, str]]:
    """What a node publishes, subscribes to, offers and calls, in the words of a policy."""
    peer = world.peer
    found = {
        "publish": peer.get_publisher_names_and_types_by_node,
        "subscribe": peer.get_subscriber_names_and_types_by_node,
        "reply": peer.get_service_names_and_types_by_node,
        "request": peer.get_client_names_and_types_by_node,
    }
    return {(right, name) for right, names in found.items() for name, _ in names(node, NAMESPACE)}


def rights_in_policy(node: str) -> set[tuple[str, str]]:
    """What the policy for SROS 2 allows a node."""
    policy = ElementTree.parse(REPOSITORY / "config" / "sros2_policy.xml")
    profile = policy.find(f".//enclave[@path='{NAMESPACE}/{node}']/profiles/profile[@ns='{NAMESPACE}'][@node='{node}']")
    assert profile is not None
    rights = set()
    for names in profile:
        for right, value in names.attrib.items():
            assert value == "ALLOW", "everything else is denied"
            rights |= {(right, f"{NAMESPACE}/{name.text}" if name.text[0] != "/" else name.text) for name in names}
    return rights


def test_policy_allows_exactly_what_the_page_uses(world: World) -> None:
    world.start_node(image_reliability="reliable", recognizer="image")
    world.start_camera("--rate", "15", "--show", "thumbs_up")
    _, site = start_page(world, browser_camera=True, use_sim_time=True)
    allowed = rights_in_policy("teach_page")
    with Viewer(site) as viewer:
        viewer.wait_for(is_complete, "the state of the node, and a picture")
        # It subscribes to one of the two.
        expected = allowed - {("subscribe", f"{CAMERA}/compressed")}
        in_use: set[tuple[str, str]] = set()

        def uses_all(_: Viewer) -> bool:
            in_use.clear()
            in_use.update(rights_in_use(world, "teach_page"))
            return expected <= in_use

        with contextlib.suppress(AssertionError):
            viewer.wait_for(uses_all, "what the page uses")
    assert in_use == expected, in_use ^ expected
