"""Which data sets have a name: one entry each, with what it is, who may use it, and where its files are for certain.

An address names one version for good, with its length and SHA-256. A set whose SHA-256 nobody verified is not added:
these were computed from the files at the named commits, or agree with what the origin and others publish.
"""

from dataclasses import dataclass

from gipi.messages import _

UCI = "https://archive.ics.uci.edu/dataset/"
BROWNLEE = "https://raw.githubusercontent.com/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/"
FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"


@dataclass(frozen=True)
class File:
    """One file of a public set.

    Attributes:
        path: `FOLDER/FILE`, in GIPI_DATA and in the cache.
        address: Where it is fetched from.
        sha256: What it hashes to.
        size: Its length in bytes.
    """

    path: str
    address: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Entry:
    """A data set with a name.

    Attributes:
        name: What a person types.
        about: One line on what it is.
        task: What it is usually used for: classify, regress; of texts also write, translate, chat, tag.
        target: What is predicted if nothing else is asked for.
        licence: Who may use it how; "no formal licence" where its origin states none.
        source: The page of its origin.
        files: What is fetched; none: it is embedded.
        form: How the files are read: table, idx, cifar10; of texts text, archive, parallel, rows, tags.
        columns: The names of the columns, for tables without a header.
        drop: Columns that are left out, because they give the answer away or only number the rows.
        classes: The names of the labels 0, 1 ... of pictures, 1, 2 ... of texts.
        text: The columns with the texts; none for tables and pictures.
    """

    name: str
    about: str
    task: str
    target: tuple[str, ...]
    licence: str
    source: str
    files: tuple[File, ...] = ()
    form: str = "table"
    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def is_embedded(self) -> bool:
        return not self.files


def embedded_entries() -> list[Entry]:
    uci = "UCI Machine Learning Repository, CC BY 4.0"
    return [
        Entry("digits", _("1,797 handwritten digits, 8 x 8 pixels"), "classify", ("label",), uci, UCI + "80"),
        Entry("iris", _("150 iris flowers of three species, four measures"), "classify", ("species",), uci, UCI + "53"),
        Entry(
            "wine", _("178 wines of three cultivars, thirteen measures"), "classify", ("cultivar",), uci, UCI + "109"
        ),
        Entry(
            "breast-cancer",
            _("569 tumours, benign or malignant, thirty measures of their cells"),
            "classify",
            ("diagnosis",),
            uci,
            UCI + "17",
        ),
        Entry(
            "diabetes",
            _("442 patients, ten measures, and how far the illness went in a year"),
            "regress",
            ("progression",),
            _("no formal licence; Efron, Hastie, Johnstone and Tibshirani 2004"),
            "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        ),
        Entry(
            "grades",
            _("hours of study and scores: four rows, exactly y = 10 x"),
            "regress",
            ("score",),
            "Apache-2.0",
            "",
        ),
    ]


def public_entries() -> list[Entry]:
    uci = "UCI Machine Learning Repository, CC BY 4.0"
    return [
        Entry(
            "students",
            _("395 pupils, their families and habits, and their final grade in mathematics"),
            "regress",
            ("G3",),
            uci + " (Cortez)",
            UCI + "320",
            (
                File(
                    "student_mat/student-mat.csv",
                    "https://raw.githubusercontent.com/nhans32/466_group_project/593d03f3551ce9191eb29cf92bbc45c94134082f/data/student-mat.csv",
                    "659f3984643c2def53ba5e49f551c6ce3657039f9c25306cacb8f43b818a5190",
                    41983,
                ),
            ),
        ),
        Entry(
            "adult",
            _("32,561 people of the 1994 census: who earns more than 50,000 dollars"),
            "classify",
            ("income",),
            uci,
            UCI + "2",
            (
                File(
                    "adult_train/adult-train.csv",
                    BROWNLEE + "adult-train.csv",
                    "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
                    3974305,
                ),
            ),
            columns=(
                *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
                *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"),
                "income",
            ),
        ),
        Entry(
            "california-housing",
            _("20,640 districts of California in 1990, and the median value of their houses"),
            "regress",
            ("median_house_value",),
            _("no formal licence; facts of the US census (Pace and Barry 1997)"),
            "https://github.com/ageron/data",
            (
                File(
                    "california_housing/housing.csv",
                    "https://raw.githubusercontent.com/ageron/data/2ea73147454d2ff8c8a933913be4606f05b352ca/housing/housing.csv",
                    "2364609dc48bec7df3ba9dbb7041478e704ecddcee70ef1827ec3fc49d22c0cc",
                    1423529,
                ),
            ),
        ),
        Entry(
            "titanic",
            _("891 passengers of the Titanic, and who survived"),
            "classify",
            ("Survived",),
            _("no formal licence; facts of Encyclopedia Titanica, as Kaggle teaches with"),
            "https://www.kaggle.com/c/titanic",
            (
                File(
                    "titanic/train.csv",
                    "https://raw.githubusercontent.com/iutzeler/Introduction-to-Python-for-Data-Sciences/33aaa05ea617b83a15e4ef7f98bb23e75b706a28/data/titanic/train.csv",
                    "7d118fef8b6ccf7f81111877bc388536f7b1e498a655e3d649d19aaa010e9f6f",
                    61194,
                ),
            ),
        ),
        Entry(
            "wine-quality",
            _("1,599 red wines, eleven measures, and how good tasters found them"),
            "regress",
            ("quality",),
            uci + " (Cortez)",
            UCI + "186",
            (
                File(
                    "wine_quality_red/winequality-red.csv",
                    BROWNLEE + "winequality-red.csv",
                    "c9614512e980f1cbd221c796daa97f00c4898c3cd1716863abac60f6cd1a522e",
                    84028,
                ),
            ),
            columns=(
                *("fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides"),
                *("free sulfur dioxide", "total sulfur dioxide", "density", "pH", "sulphates", "alcohol", "quality"),
            ),
        ),
        Entry(
            "bike-sharing",
            _("17,379 hours of weather in Washington, and how many bicycles were lent"),
            "regress",
            ("cnt",),
            uci + " (Fanaee-T and Gama)",
            UCI + "275",
            (
                File(
                    "bike_sharing/hour.csv",
                    "https://raw.githubusercontent.com/udacity/deep-learning-v2-pytorch/c9404fc86181fc3f0906b368697268257f348535/project-bikesharing/Bike-Sharing-Dataset/hour.csv",
                    "e03de4ee4ef4dc376ac6e04bf829673c6269e8eba5c60fa121640fa2f829504f",
                    1156736,
                ),
            ),
            drop=("casual", "registered"),
        ),
        Entry(
            "pima-diabetes",
            _("768 women of the Pima, eight measures, and who has diabetes"),
            "classify",
            ("diabetes",),
            _("public; US National Institute of Diabetes and Digestive and Kidney Diseases"),
            "https://github.com/jbrownlee/Datasets",
            (
                File(
                    "pima_diabetes/pima-indians-diabetes.csv",
                    BROWNLEE + "pima-indians-diabetes.csv",
                    "6bfe5d0f379d17a0e0819b996407e3c09bf80febd4287f2ed212190dfff154af",
                    23278,
                ),
            ),
            columns=(
                *("pregnancies", "glucose", "blood_pressure", "skin_thickness", "insulin", "bmi", "pedigree", "age"),
                "diabetes",
            ),
        ),
        Entry(
            "seattle-weather",
            _("1,461 days in Seattle, 2012 to 2015: temperature, rain, wind and the kind of weather"),
            "classify",
            ("weather",),
            _("public domain (NOAA)"),
            "https://github.com/vega/vega-datasets",
            (
                File(
                    "seattle_weather/seattle-weather.csv",
                    "https://raw.githubusercontent.com/vega/vega-datasets/cad85578e232704bb0453544742440038038c6a2/data/seattle-weather.csv",
                    "0845078a290b48e3149ab8639966824110a251db4e06fc144c06ebb534af23be",
                    48219,
                ),
            ),
        ),
        Entry(
            "mnist",
            _("70,000 handwritten digits, 28 x 28 pixels"),
            "classify",
            ("label",),
            _("CC BY-SA 3.0 (LeCun, Cortes and Burges)"),
            "http://yann.lecun.com/exdb/mnist/",
            (
                _idx(
                    "mnist",
                    MNIST,
                    "train-images",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    9912422,
                ),
                _idx(
                    "mnist",
                    MNIST,
                    "train-labels",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    28881,
                ),
                _idx(
                    "mnist",
                    MNIST,
                    "t10k-images",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    1648877,
                ),
                _idx(
                    "mnist",
                    MNIST,
                    "t10k-labels",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    4542,
                ),
            ),
            form="idx",
        ),
        Entry(
            "fashion-mnist",
            _("70,000 pieces of clothing, 28 x 28 pixels, ten kinds"),
            "classify",
            ("label",),
            "MIT (Zalando)",
            "https://github.com/zalandoresearch/fashion-mnist",
            (
                _idx(
                    "fashion_mnist",
                    FASHION,
                    "train-images",
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    26421880,
                ),
                _idx(
                    "fashion_mnist",
                    FASHION,
                    "train-labels",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    29515,
                ),
                _idx(
                    "fashion_mnist",
                    FASHION,
                    "t10k-images",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    4422102,
                ),
                _idx(
                    "fashion_mnist",
                    FASHION,
                    "t10k-labels",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    5148,
                ),
            ),
            form="idx",
            classes=(
                *("T-shirt", "trouser", "pullover", "dress", "coat"),
                *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
            ),
        ),
        Entry(
            "cifar10",
            _("60,000 small colour photographs, 32 x 32 pixels, of ten things"),
            "classify",
            ("label",),
            _("no formal licence; a public research benchmark (Krizhevsky 2009)"),
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            (
                File(
                    "cifar10/cifar-10-binary.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    170052171,
                ),
            ),
            form="cifar10",
        ),
    ]


def _idx(folder: str, base: str, stem: str, sha256: str, size: int) -> File:
    name = f"{stem}-idx{'3' if stem.endswith('images') else '1'}-ubyte.gz"
    return File(f"{folder}/{name}", base + name, sha256, size)
