"""Oracle: masks by MediaPipe's published recipe, its own runtime and loops; nothing of `models` is used.

The recipe: a square around the middle of the hips, upright on the line to the shoulders, its side 2.5 times the
distance to the farthest keypoint, the last pixel repeated beyond the border (the default of MediaPipe's
ImageToTensorCalculator); the crop as RGB in 0..1; the probabilities warped back into the frame, and above one half is
the person.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

SIZE = 256


class TfliteMasks:
    """A landmark network of MediaPipe in LiteRT, one person at a time.

    Args:
        path: `pose_landmark_full.tflite` or the file of the heavy variant.
        threads: of the interpreter.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        self._output = next(o["index"] for o in outputs if tuple(o["shape"]) == (1, SIZE, SIZE, 1))

    def logits(self, crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The raw output, float32 [256, 256], for a crop, uint8 [256, 256, 3] BGR."""
        rgb = crop[..., ::-1].astype(np.float32) / 255.0
        self._interpreter.set_tensor(self._input, rgb[None])
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output)[0, :, :, 0])

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        boxes: npt.NDArray[np.float32],
        keypoints: npt.NDArray[np.float32],
        *,
        clip: bool = False,
    ) -> list[npt.NDArray[np.bool_]]:
        """Masks of the whole frame, bool [H, W], one per person.

        Args:
            image: uint8 [H, W, 3], BGR.
            boxes: float32 [N, 4], x1, y1, x2, y2; used only to `clip`.
            keypoints: float32 [N, 17, 3], COCO order, every one of them estimated.
            clip: whether to cut each mask to its box; the published recipe does not.
        """
        masks = []
        for box, points in zip(boxes, keypoints, strict=True):
            mask = self._person(image, points[:, :2].astype(np.float64))
            if clip:
                x1, y1 = np.floor(box[:2]).astype(int)
                x2, y2 = np.ceil(box[2:]).astype(int)
                inside = np.zeros_like(mask)
                inside[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
                mask &= inside
            masks.append(mask)
        return masks

    def _person(self, image: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        hips, shoulders = (points[11] + points[12]) / 2, (points[5] + points[6]) / 2
        side = 2.5 * max(float(np.linalg.norm(point - hips)) for point in points)
        angle = np.arctan2(shoulders[0] - hips[0], hips[1] - shoulders[1])  # 0 upright, clockwise
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[0, 0], [SIZE - 1, 0], [0, SIZE - 1]])
        in_image = hips + (corners - (SIZE - 1) / 2) * (side / SIZE) @ turn.T
        to_crop = cv2.getAffineTransform(in_image.astype(np.float32), corners.astype(np.float32))
        crop = cv2.warpAffine(image, to_crop, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        probability = 1 / (1 + np.exp(-np.clip(self.logits(np.asarray(crop, np.uint8)), -50, 50)))
        height, width = image.shape[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = cv2.warpAffine(probability, to_crop, (width, height), flags=flags, borderValue=0)
        above: npt.NDArray[np.bool_] = frame > 0.5
        return above
