"""Model files of other runtimes, written from our networks: TFLite and TensorRT's ONNX. Nothing here imports torch."""
