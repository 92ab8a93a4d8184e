"""The verb that serves a page."""

from pathlib import Path


def serve_verb(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    detector: str = "auto",
    weights: Path | None = None,
    folder: Path | None = None,
    max_mb: float = 500.0,
    max_minutes: float = 10.0,
) -> None:
    """Serve a page on this machine that lifts videos: drop one, look at the motion, take the files. Until Ctrl-C.

    Needs `pip install actlift[serve]`. Videos and files are removed after an hour, and in the end.

    For example:

        actlift serve --weights movenet.onnx
        actlift serve --port 8080 --max-minutes 2

    Parameters
    ----------
    host
        Address to listen at; others than 127.0.0.1 open the page to the network, where everybody may use it.
    port
        To listen at.
    detector
        Of 2D keypoints: rtmpose, movenet, mediapipe, or auto, the best that works here.
    weights
        File of the detector's weights.
    folder
        For what is worked on; the system's folder for temporary files where not given.
    max_mb
        Size of a video.
    max_minutes
        Length of a video.
    """
    from actlift.serve import serve

    serve(host, port, detector=detector, weights=weights, folder=folder, max_mb=max_mb, max_minutes=max_minutes)
