"""An RTSP server that films the clock; runs in the system's Python: rtsp_server.py PORT FPS [USER PASSWORD].

What it missed while it was frozen it hands out afterwards, as fast as it can, as live sources of GStreamer do.
"""

import sys
import threading
import time

import gi
import stamped

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
PORT, FPS = sys.argv[1], int(sys.argv[2])
CAPS = f"video/x-raw,format=GRAY8,width={stamped.WIDTH},height={stamped.HEIGHT},framerate={FPS}/1"


class Film(GstRtspServer.RTSPMediaFactory):
    def __init__(self):
        super().__init__()
        self.set_shared(True)
        self.set_launch(
            f"( appsrc name=clock is-live=true format=time block=false caps={CAPS} ! videoconvert ! "
            "video/x-raw,format=I420 ! "
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=800 threads=1 ! "
            "rtph264pay name=pay0 pt=96 config-interval=-1 )"
        )

    def do_configure(self, media):
        appsrc = media.get_element().get_child_by_name("clock")
        threading.Thread(target=self.film, args=(appsrc,), daemon=True).start()

    def film(self, appsrc):
        start, number = time.monotonic(), 0
        while True:
            due = start + number / FPS
            time.sleep(max(0.0, due - time.monotonic()))
            buffer = Gst.Buffer.new_wrapped(stamped.draw(int(due * 1000)))
            buffer.pts = int(number / FPS * Gst.SECOND)
            buffer.duration = Gst.SECOND // FPS
            if appsrc.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            number += 1


server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(PORT)
film = Film()
if len(sys.argv) > 3:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(sys.argv[3], sys.argv[4]), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    film.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", film)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
