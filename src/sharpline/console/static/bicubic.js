// Enlarges the camera's frame by bicubic (Keys, a = -0.5, borders mirrored: the field's definition), on the graphics
// processor. The browser's own smoothing of drawImage is another filter, and a softer one: it would flatter the network.

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID & 1) * 4 - 1, (gl_VertexID & 2) * 2 - 1);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D frame;
uniform float factor;
out vec4 colour;

vec4 keys(float t) { // weights of the pixels at -1, 0, 1, 2 for a place t behind pixel 0
  vec4 x = vec4(1.0 + t, t, 1.0 - t, 2.0 - t);
  vec4 near = (1.5 * x - 2.5) * x * x + 1.0;
  vec4 far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
  return vec4(far.x, near.y, near.z, far.w);
}

int mirrored(int at, int length) {
  return clamp(at < 0 ? -1 - at : at >= length ? 2 * length - 1 - at : at, 0, length - 1);
}

vec3 whole(vec3 sum) { return floor(clamp(sum, 0.0, 1.0) * 255.0 + 0.5) / 255.0; } // each pass rounds to a level

void main() {
  ivec2 size = textureSize(frame, 0);
  vec2 place = vec2(gl_FragCoord.x, float(size.y) * factor - gl_FragCoord.y) / factor - 0.5;
  ivec2 base = ivec2(floor(place));
  vec4 across = keys(place.x - float(base.x));
  vec4 down = keys(place.y - float(base.y));
  vec3 sum = vec3(0.0);
  for (int i = 0; i < 4; i++) {
    vec3 column = vec3(0.0);
    for (int j = 0; j < 4; j++) {
      column += down[j] * texelFetch(frame, ivec2(mirrored(base.x + i - 1, size.x), mirrored(base.y + j - 1, size.y)), 0).rgb;
    }
    sum += across[i] * whole(column);
  }
  colour = vec4(whole(sum), 1.0);
}`;

function compiled(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

const TRIALS = [[32, 10], [128, 25]]; // side of a trial's frame, enlarged four times; milliseconds that it may take

export class Bicubic {
  constructor(patience = 1) {
    this.canvas = new OffscreenCanvas(1, 1);
    this.gl = this.canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      failIfMajorPerformanceCaveat: patience === 1,
    });
    this.program = this.gl && compiled(this.gl);
    if (!this.program) return;
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.useProgram(this.program);
    this.factor = gl.getUniformLocation(this.program, "factor");
    if (!TRIALS.every(([side, limit]) => this.trial(side) <= limit * patience)) this.program = null;
    this.largest = Math.min(...gl.getParameter(gl.MAX_VIEWPORT_DIMS), gl.getParameter(gl.MAX_RENDERBUFFER_SIZE));
  }

  /** Milliseconds for a small picture: a graphics processor that is only simulated takes seconds for a large one. */
  trial(side) {
    const times = [0, 1].map(() => {
      const begin = performance.now();
      this.paint(new ImageData(side, side), side * 4, side * 4, 4);
      this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits for the picture
      return performance.now() - begin;
    });
    return Math.min(...times);
  }

  /** Whether this browser can; otherwise the server enlarges. */
  get works() {
    return Boolean(this.program) && !this.gl.isContextLost();
  }

  /** The bitmap enlarged by a whole factor, or null where that does not work. */
  enlarge(bitmap, factor) {
    const [width, height] = [bitmap.width * factor, bitmap.height * factor];
    if (!this.works || Math.max(width, height) > this.largest) {
      this.program = null;
      return null;
    }
    this.paint(bitmap, width, height, factor);
    return this.canvas.transferToImageBitmap();
  }

  paint(bitmap, width, height, factor) {
    const gl = this.gl;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    gl.viewport(0, 0, width, height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.uniform1f(this.factor, factor);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}
