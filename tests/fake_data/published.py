"""Data sets of image classification as published: few classes, few images, the true names of files."""

from __future__ import annotations

from pathlib import Path

from fake_data.images import write_image
from fake_data.voc import write_xml

PETS = {"Abyssinian": ("1 1 1", ("100", "101", "102")), "american_bulldog": ("2 2 1", ("10", "11", "12"))}
"""Numbers of the class, and the images: the last one of each is a test image."""
DOGS = {"n02085620-Chihuahua": ("7", "10074"), "n02086240-Shih-Tzu": ("11",), "n02098105-soft-coated_terrier": ("5",)}
WNIDS = {"n01443537": 2, "n01629819": 1}
"""Training images a class."""


def write_pets(root: Path, *, has_split: bool = True) -> Path:
    """Oxford-IIIT Pet: `annotations/list.txt` with comments, the split, boxes of heads and trimaps, and images."""
    lists: dict[str, list[str]] = {"list": ["#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids"]}
    for breed, (numbers, images) in PETS.items():
        for number, image in enumerate(images):
            name = f"{breed}_{image}"
            lists["list"].append(f"{name} {numbers}")
            if has_split:
                lists.setdefault("test" if number == 2 else "trainval", []).append(f"{name} {numbers}")
            write_image(root / f"images/{name}.jpg")
            write_image(root / f"annotations/trimaps/{name}.png")
    write_xml(root / "annotations/xmls/Abyssinian_100.xml", [("cat", 1, 2, 9, 8)])
    for table, lines in lists.items():
        (root / f"annotations/{table}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_stanford_dogs(root: Path, images: str = "Images", annotations: str = "Annotation") -> Path:
    """Stanford Dogs: annotations without suffix, some of whose file names are `%s`, and lists of MATLAB."""
    for folder, numbers in DOGS.items():
        for number in numbers:
            name = f"{folder[:9]}_{number}"
            write_image(root / images / folder / f"{name}.jpg")
            path = root / annotations / folder / name
            write_xml(path, [(folder.partition("-")[2], 1, 2, 19, 18)], file_name="%s", folder="%s")
    (root / "lists").mkdir()
    (root / "lists/train_list.mat").write_bytes(b"MATLAB 5.0")
    return root


def write_tiny_imagenet(root: Path, *, has_val: bool = True) -> Path:
    """Tiny ImageNet: images of 64 x 64, boxes with first and last pixels, and test images without labels."""
    for wnid, count in WNIDS.items():
        names = [f"{wnid}_{number}.JPEG" for number in range(count)]
        for name in names:
            write_image(root / "train" / wnid / "images" / name, (64, 64))
        boxes = "".join(f"{name}\t0\t10\t63\t58\n" for name in names)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(boxes)
    write_image(root / "test/images/test_0.JPEG", (64, 64))
    (root / "wnids.txt").write_text("\n".join(reversed(WNIDS)))
    (root / "words.txt").write_text("n01443537\tgoldfish, Carassius auratus\nn01629819\tEuropean fire salamander\n")
    if has_val:
        write_image(root / "val/images/val_0.JPEG", (64, 64))
        write_image(root / "val/images/val_1.JPEG", (64, 64))
        lines = ("val_0.JPEG\tn01629819\t0\t32\t44\t62\n", "val_1.JPEG\tn01443537\t5\t5\t5\t9\n")
        (root / "val/val_annotations.txt").write_text("".join(lines))
    return root


def write_caltech(root: Path) -> Path:
    """Caltech-101: class folders, one of them without objects, beside the folders of the annotations."""
    for name in ("accordion", "crab", "BACKGROUND_Google"):
        write_image(root / "101_ObjectCategories" / name / "image_0001.jpg")
        write_image(root / "101_ObjectCategories" / name / "image_0002.jpg")
        (root / "Annotations" / name).mkdir(parents=True)
        (root / "Annotations" / name / "annotation_0001.mat").write_bytes(b"MATLAB 5.0")
    return root
