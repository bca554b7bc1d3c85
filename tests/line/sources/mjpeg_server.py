"""An HTTP server of motion JPEG that films the clock: mjpeg_server.py PORT FPS [USER PASSWORD].

What it missed while it was frozen it hands out afterwards, as fast as it can.
"""

import base64
import io
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stamped
from PIL import Image

PORT, FPS = int(sys.argv[1]), int(sys.argv[2])
WANTED = "Basic " + base64.b64encode(":".join(sys.argv[3:5]).encode()).decode() if len(sys.argv) > 3 else None


class Film(BaseHTTPRequestHandler):
    def do_GET(self):
        if WANTED and self.headers.get("Authorization") != WANTED:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        if self.path != "/cam":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        due = time.monotonic()
        while True:
            time.sleep(max(0.0, due - time.monotonic()))
            image = Image.frombytes("L", (stamped.WIDTH, stamped.HEIGHT), stamped.draw(int(due * 1000)))
            jpeg = io.BytesIO()
            image.convert("RGB").save(jpeg, "JPEG", quality=80)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg.getvalue())}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg.getvalue() + b"\r\n")
            due += 1 / FPS

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", PORT), Film)
server.daemon_threads = True
print("ready", flush=True)
server.serve_forever()
