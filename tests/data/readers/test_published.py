"""Data sets of image classification as published: Oxford-IIIT Pet, Stanford Dogs, Tiny ImageNet, Caltech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_data.published import DOGS, write_caltech, write_pets, write_stanford_dogs, write_tiny_imagenet

from wsol.data.no_object import with_no_object
from wsol.data.open import open_data, open_ground_truth
from wsol.data.samples import DataSet, Sample
from wsol.errors import NoGroundTruth, WsolError


def labels_of(data: DataSet, samples: Sequence[Sample]) -> dict[str, str]:
    assert all(sample.path.is_file() for sample in samples)
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


# Oxford-IIIT Pet


def test_the_class_of_a_pet_is_its_breed(tmp_path: Path) -> None:
    data = open_data(write_pets(tmp_path))
    assert labels_of(data, data.train) == {
        "Abyssinian_100.jpg": "Abyssinian",
        "Abyssinian_101.jpg": "Abyssinian",
        "american_bulldog_10.jpg": "american_bulldog",
        "american_bulldog_11.jpg": "american_bulldog",
    }
    assert labels_of(data, data.test) == {
        "Abyssinian_102.jpg": "Abyssinian",
        "american_bulldog_12.jpg": "american_bulldog",
    }


def test_pets_without_a_split_are_read_from_the_list(tmp_path: Path) -> None:
    data = open_data(write_pets(tmp_path, has_split=False))
    assert not data.has_split
    assert len(data.train) == 6


def test_pets_with_one_list_have_no_split(tmp_path: Path) -> None:
    write_pets(tmp_path)
    (tmp_path / "annotations/test.txt").unlink()
    data = open_data(tmp_path)
    assert data.train == data.test
    assert not data.has_split


def test_boxes_of_heads_are_no_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(NoGroundTruth, match="heads"):
        open_data(write_pets(tmp_path)).read_ground_truth()


@pytest.mark.parametrize(
    "line", ["Abyssinian_100", "../Abyssinian_100 1 1 1", "Abyssinian_100 one 1 1", f"A_{'1' * 300} 1 1 1"]
)
def test_a_line_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    write_pets(tmp_path)
    with (tmp_path / "annotations/test.txt").open("a") as table:
        table.write(f"{line}\n")
    with pytest.raises(WsolError, match=r"test\.txt: expected lines"):
        open_data(tmp_path)


# Stanford Dogs


@pytest.mark.parametrize(
    "folders", [("Images", "Annotation"), ("images/Images", "annotations/Annotation")], ids=["published", "Kaggle"]
)
def test_dogs_have_the_class_of_their_folder_and_the_boxes_of_their_xml(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    data = open_data(write_stanford_dogs(tmp_path, *folders))
    assert data.kind == "Stanford Dogs"
    assert data.class_names == tuple(DOGS)
    assert set(labels_of(data, data.train).values()) == set(DOGS)
    assert any("MATLAB" in note for note in data.notes())
    ground_truth = data.read_ground_truth()
    assert ground_truth.mistakes == ()
    assert len(ground_truth.by_id) == len(data.test) == 4
    for sample in data.test:
        of_class = ground_truth.of_class(sample.image_id, data.class_names[sample.label])
        assert of_class is not None
        assert of_class.boxes.xyxy.tolist() == [[1, 2, 19, 18]]


def test_a_missing_annotation_of_a_dog_is_one_mistake(tmp_path: Path) -> None:
    write_stanford_dogs(tmp_path)
    (tmp_path / "Annotation/n02086240-Shih-Tzu/n02086240_11").unlink()
    ground_truth = open_data(tmp_path).read_ground_truth()
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["no true box"]
    assert len(ground_truth.by_id) == 3


def test_images_of_dogs_alone_are_class_folders(tmp_path: Path) -> None:
    data = open_data(write_stanford_dogs(tmp_path) / "Images")
    assert (data.kind, data.class_names) == ("class folders", tuple(DOGS))


# Tiny ImageNet


def test_tiny_imagenet_has_classes_of_folders_and_a_list_of_validation_images(tmp_path: Path) -> None:
    data = open_data(write_tiny_imagenet(tmp_path))
    assert data.class_names == ("n01443537", "n01629819")
    assert labels_of(data, data.train) == {
        "train/n01443537/images/n01443537_0.JPEG": "n01443537",
        "train/n01443537/images/n01443537_1.JPEG": "n01443537",
        "train/n01629819/images/n01629819_0.JPEG": "n01629819",
    }
    assert labels_of(data, data.test) == {"val/images/val_0.JPEG": "n01629819", "val/images/val_1.JPEG": "n01443537"}
    ground_truth = data.read_ground_truth()
    boxes = {image_id: one.boxes.xyxy.tolist() for image_id, one in ground_truth.by_id.items()}
    assert boxes == {"val/images/val_0.JPEG": [[0, 32, 44, 62]], "val/images/val_1.JPEG": [[5, 5, 5, 9]]}


def test_training_images_of_tiny_imagenet_have_boxes_too(tmp_path: Path) -> None:
    data = open_data(write_tiny_imagenet(tmp_path, has_val=False))
    assert not data.has_split
    boxes = [one.boxes.xyxy.tolist() for one in data.read_ground_truth().by_id.values()]
    assert boxes == [[[0, 10, 63, 58]]] * 3


@pytest.mark.parametrize("keeps_list", [True, False])
@pytest.mark.parametrize("below", ["", "images"])
def test_validation_images_that_were_sorted_by_class_are_found(tmp_path: Path, below: str, keeps_list: bool) -> None:
    write_tiny_imagenet(tmp_path)
    for name, wnid in (("val_0", "n01629819"), ("val_1", "n01443537")):
        folder = tmp_path / "val" / wnid / below
        folder.mkdir(parents=True)
        (tmp_path / f"val/images/{name}.JPEG").rename(folder / f"{name}.JPEG")
    (tmp_path / "val/images").rmdir()
    if not keeps_list:
        (tmp_path / "val/val_annotations.txt").unlink()
    data = open_data(tmp_path)
    assert {Path(name).name: label for name, label in labels_of(data, data.test).items()} == {
        "val_0.JPEG": "n01629819",
        "val_1.JPEG": "n01443537",
    }
    if keeps_list:
        assert len(data.read_ground_truth().by_id) == 2
    else:
        with pytest.raises(NoGroundTruth, match="val_annotations"):
            data.read_ground_truth()


@pytest.mark.parametrize("line", ["val_0.JPEG\tn01629819", "../a.JPEG\tn01629819\t1\t2\t3\t4"])
def test_a_line_of_another_form_in_the_list_is_refused(tmp_path: Path, line: str) -> None:
    write_tiny_imagenet(tmp_path)
    (tmp_path / "val/val_annotations.txt").write_text(line)
    with pytest.raises(WsolError, match=r"val_annotations\.txt, line 1"):
        open_data(tmp_path)


def test_a_validation_image_of_an_unknown_class_is_left_out(tmp_path: Path) -> None:
    write_tiny_imagenet(tmp_path)
    table = tmp_path / "val/val_annotations.txt"
    table.write_text(table.read_text().replace("n01443537", "n99999999"))
    data = open_data(tmp_path)
    assert [mistake.kind for mistake in data.mistakes] == ["unknown class"]
    assert len(data.test) == 1


# Caltech


@pytest.mark.parametrize("below", ["", "101_ObjectCategories"])
def test_the_background_of_caltech_is_advised_to_be_without_an_object(tmp_path: Path, below: str) -> None:
    write_caltech(tmp_path)
    data = open_data(tmp_path / below)
    assert data.root == tmp_path / below
    assert data.class_names == ("BACKGROUND_Google", "accordion", "crab")
    assert len(labels_of(data, data.train)) == 6
    assert any("--no-object BACKGROUND_Google" in note for note in data.notes())
    assert with_no_object(data, "BACKGROUND_Google").notes() == []


def test_caltech_has_no_boxes(tmp_path: Path) -> None:
    with pytest.raises(NoGroundTruth):
        open_ground_truth(write_caltech(tmp_path)).read_ground_truth()
