"""The facts of every built-in data set of event recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikecli.datasets.facts import Facts
from spikecli.datasets.prepare_options import SplitOrder
from spikecli.files.remote import Remote

_DIGITS = "zero one two three four five six seven eight nine"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_GESTURES = (
    "hand clap,right hand wave,left hand wave,right arm clockwise,right arm counter-clockwise,left arm clockwise,"
    "left arm counter-clockwise,arm roll,air drums,air guitar,other gestures"
)
# The folders of N-Caltech101: Caltech's 101 objects without the second set of faces, and its background pictures.
_CALTECH101 = (
    "BACKGROUND_Google Faces_easy Leopards Motorbikes accordion airplanes anchor ant barrel bass beaver binocular "
    "bonsai brain brontosaurus buddha butterfly camera cannon car_side ceiling_fan cellphone chair chandelier "
    "cougar_body cougar_face crab crayfish crocodile crocodile_head cup dalmatian dollar_bill dolphin dragonfly "
    "electric_guitar elephant emu euphonium ewer ferry flamingo flamingo_head garfield gerenuk gramophone grand_piano "
    "hawksbill headphone hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop llama lobster "
    "lotus mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda pigeon pizza platypus "
    "pyramid revolver rhino rooster saxophone schooner scissors scorpion sea_horse snoopy soccer_ball stapler "
    "starfish stegosaurus stop_sign strawberry sunflower tick trilobite umbrella watch water_lilly wheelchair "
    "wild_cat windsor_chair wrench yin_yang"
)
_SPOKEN = {
    "BACKGROUND_Google": "background",
    "Faces_easy": "face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "airplanes": "airplane",
    "car_side": "side of a car",
    "water_lilly": "water lily",
}
_NUMERAL = ('A black and white photo of the Arabic numeral number: "{}".',)
_MENDELEY = "https://data.mendeley.com/public-files/datasets"
_FIGSHARE = "https://figshare.com/ndownloader/files"


@dataclass(frozen=True)
class EventFacts(Facts):
    """The facts of a data set of event recordings; all of its remotes are needed."""

    pattern: str = ""  # regular expression of a recording's file name
    sensor: tuple[int, int] = (0, 0)  # width, height
    threshold: int = 0  # m of the gray image: a pixel is drawn where more events fell
    turned: tuple[str, ...] = ()  # formats whose files were filmed with the camera on its side
    split_order: SplitOrder = "number"  # of file names, where the first 90 % of each class train
    frame_size: int | None = None  # side that networks are shown its frames at; None: the sensor's size
    rates: tuple[float, float] = (0.0, 0.0)  # events a second of the slowest and fastest that a network learned from

    kind: ClassVar[str] = "events"


DIGITS = EventFacts(
    name="digits",
    title="899 of scikit-learn's handwritten digits under a simulated event camera, built in",
    classnames=tuple(_DIGITS.split()),
    folders=tuple("0123456789"),
    pattern=r"\d+\.bin",
    sensor=(34, 34),
    templates=_NUMERAL,
    split_rule="60/40 within each class, drawn from the seed",
    sizes=(("train", 541), ("test", 358)),
    mirrors=False,
    terms="made on this machine from the digits that come with scikit-learn",
    made=True,
)
NMNIST = EventFacts(
    name="nmnist",
    title="N-MNIST, the MNIST digits before a moving event camera (Orchard et al., 2015)",
    classnames=tuple(_DIGITS.split()),
    folders=tuple("0123456789"),
    pattern=r"\d+\.bin",
    sensor=(34, 34),
    templates=_NUMERAL,
    split_rule="official: the folders Train and Test",
    sizes=(("train", 60_000), ("test", 10_000)),
    mirrors=False,
    remotes=(
        Remote(
            "train.zip",
            (f"{_MENDELEY}/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
            "md5:20959b8e626244a1b502305a9e6e2031",
        ),
        Remote(
            "test.zip",
            (f"{_MENDELEY}/468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
            "md5:69ca8762b2fe404d9b9bad1103e97832",
        ),
    ),
    terms="CC BY-SA 4.0",
)
NCALTECH101 = EventFacts(
    name="ncaltech101",
    title="N-Caltech101, pictures of 101 kinds before a moving event camera (Orchard et al., 2015)",
    classnames=tuple(_SPOKEN.get(folder, folder.replace("_", " ")) for folder in _CALTECH101.split()),
    folders=tuple(_CALTECH101.split()),
    pattern=r"image_\d+\.bin|\w+_\d+\.npy",
    sensor=(240, 180),
    templates=("A low quality point cloud image of {}.",),
    split_rule="no official one; the first 90 % of each class in order of number train, the rest test",
    sizes=(("all", 8_709),),
    remotes=(
        Remote(
            "N-Caltech101-archive.zip",
            (f"{_MENDELEY}/cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded",),
            "md5:66201824eabb0239c7ab992480b50ba3",
        ),
    ),
)
CIFAR10DVS = EventFacts(
    name="cifar10dvs",
    title="CIFAR10-DVS, CIFAR-10 pictures moving before an event camera (Li et al., 2017)",
    classnames=tuple(_CIFAR10.split()),
    folders=tuple(_CIFAR10.split()),
    pattern=r"cifar10_\w+_\d+\.aedat4?",
    sensor=(128, 128),
    templates=("A low quality stick figure of the object {}.",),
    split_rule="no official one; the first 90 % of each class in order of number train, the rest test",
    sizes=(("train", 9_000), ("test", 1_000)),
    threshold=1,
    frame_size=48,
    turned=("AEDAT 2",),  # those of tonic and DV are upright
    remotes=(Remote("CIFAR10DVS.zip", (f"{_FIGSHARE}/38023437",), "md5:ce3a4a0682dc0943703bd8f749a7701c"),),
)
DVSGESTURE = EventFacts(
    name="dvsgesture",
    title="DVS128 Gesture, eleven gestures of 29 people before an event camera (Amir et al., 2017)",
    classnames=tuple(_GESTURES.split(",")),
    folders=(),
    pattern=r".+\.(aedat|npy)",
    sensor=(128, 128),
    templates=("A low quality point cloud image of a person doing the gesture {}.",),
    split_rule="official: trials_to_train.txt and trials_to_test.txt, or the folders ibmGestureTrain and …Test",
    sizes=(("train", 1_176), ("test", 288)),
    mirrors=False,
    remotes=(
        Remote("ibmGestureTrain.tar.gz", (f"{_FIGSHARE}/38022171",), "md5:3a8f0d4120a166bac7591f77409cb105"),
        Remote("ibmGestureTest.tar.gz", (f"{_FIGSHARE}/38020584",), "md5:56070e45dadaa85fff82e0fbfbc06de5"),
    ),
    terms="CC BY 4.0",
)

NCARS = EventFacts(
    name="ncars",
    title="N-CARS, cars and street scenes before an event camera, 100 ms each (Sironi et al., 2018)",
    classnames=("background", "car"),
    folders=("background", "cars"),
    pattern=r".+\.dat",
    sensor=(120, 100),  # the largest of its recordings, which are cut to the object
    templates=("A low quality point cloud image of a {}.",),
    split_rule="official: the folders n-cars_train and n-cars_test",
    sizes=(("train", 15_422), ("test", 8_607)),
    terms="for research, from its makers: prophesee.ai/dataset-n-cars-download",
)

EVENT_SETS = {facts.name: facts for facts in (DIGITS, NMNIST, NCALTECH101, CIFAR10DVS, DVSGESTURE, NCARS)}
