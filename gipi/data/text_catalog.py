"""Sets of texts that have a name; see catalog.py. Those are left out whose files nobody could hash at their origin."""

from gipi.data.catalog import Entry, File
from gipi.messages import _

RAW = "https://raw.githubusercontent.com/"
NLTK = RAW + "nltk/nltk_data/5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/"
MULTI30K = RAW + "multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
KLUE = RAW + "KLUE-benchmark/KLUE/3efd98708a40ff49251fddde35453f8fbb11f536/klue_benchmark/"
KOR_NLU = RAW + "kakaobrain/KorNLUDatasets/0df0fe7d496eb61b092e022e238c2230b29f1cbc/KorSTS/"
PARALLEL = RAW + "jungyeul/korean-parallel-corpora/a1fb53dc5216f3a2d07d973456d8921ed23c88c6/korean-english-jhe/"


def text_entries() -> list[Entry]:
    return [
        Entry(
            "tiny-shakespeare",
            _("scenes of Shakespeare's plays, 1.1 million characters"),
            "write",
            (),
            _("public domain"),
            "https://github.com/karpathy/char-rnn",
            (
                File(
                    "tiny_shakespeare/input.txt",
                    RAW + "karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    1115394,
                ),
            ),
            form="text",
        ),
        Entry(
            "sentence-polarity",
            _("10,662 sentences of film reviews, friendly or not"),
            "classify",
            ("label",),
            "CC BY 4.0 (Pang, Lee)",
            "https://www.cs.cornell.edu/people/pabo/movie-review-data/",
            (
                File(
                    "sentence_polarity/sentence_polarity.zip",
                    NLTK + "sentence_polarity.zip",
                    "6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b",
                    490256,
                ),
            ),
            form="archive",
            text=("text",),
        ),
        Entry(
            "ag-news",
            _("7,600 news in four topics, the test part of AG's corpus"),
            "classify",
            ("topic",),
            _("research, not commercial (AG's corpus)"),
            "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
            (
                File(
                    "ag_news_test/test.csv",
                    RAW + "mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv/test.csv",
                    "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                    1857427,
                ),
            ),
            form="rows",
            columns=("topic", "title", "text"),
            classes=("World", "Sports", "Business", "Sci/Tech"),
            text=("title", "text"),
        ),
        Entry(
            "multi30k",
            _("30,014 descriptions of pictures in German and in English"),
            "translate",
            ("en",),
            _("research and education (Elliott, Frank, Sima'an and Specia 2016)"),
            "https://github.com/multi30k/dataset",
            (
                File(
                    "multi30k/train.de.gz",
                    MULTI30K + "train.de.gz",
                    "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
                    637044,
                ),
                File(
                    "multi30k/train.en.gz",
                    MULTI30K + "train.en.gz",
                    "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
                    568929,
                ),
                File(
                    "multi30k/val.de.gz",
                    MULTI30K + "val.de.gz",
                    "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
                    24681,
                ),
                File(
                    "multi30k/val.en.gz",
                    MULTI30K + "val.en.gz",
                    "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
                    21650,
                ),
            ),
            form="parallel",
            text=("de",),
        ),
        Entry(
            "korean-english",
            _("720 sentences of a schoolbook in Korean and in English"),
            "translate",
            ("en",),
            "CC BY-SA 3.0 (Park)",
            "https://github.com/jungyeul/korean-parallel-corpora",
            (
                File(
                    "korean_english_dev/jhe-koen-dev.ko",
                    PARALLEL + "jhe-koen-dev.ko",
                    "2b02238c122aac40860aebfb191cfcdb46553e6b55b447f8188e04cabe00b828",
                    63794,
                ),
                File(
                    "korean_english_dev/jhe-koen-dev.en",
                    PARALLEL + "jhe-koen-dev.en",
                    "ccf0c0ca7601b5cae37891ecf89c72c951ac162a20738ac894e3faf804c4c4af",
                    47582,
                ),
            ),
            form="parallel",
            text=("ko",),
        ),
        Entry(
            "korean-chatbot",
            _("11,823 Korean questions and answers, of everyday life and of love"),
            "chat",
            ("A",),
            "MIT (Song)",
            "https://github.com/songys/Chatbot_data",
            (
                File(
                    "chatbot_data/ChatbotData.csv",
                    RAW + "songys/Chatbot_data/4cf20d13fc46f5037fd1c531cd566e2dd9f72974/ChatbotData.csv",
                    "287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
                    889842,
                ),
            ),
            drop=("label",),
            text=("Q",),
        ),
        Entry(
            "korsts",
            _("7,249 pairs of Korean sentences, and how alike they are, 0 to 5"),
            "regress",
            ("score",),
            "CC BY-SA 4.0 (Kakao Brain)",
            "https://github.com/kakaobrain/KorNLUDatasets",
            (
                File(
                    "korsts_train/sts-train.tsv",
                    KOR_NLU + "sts-train.tsv",
                    "b5aaa7f957d6ff46f4b6834a8b0f024a9234a6eefe9289aed66746b4533da3b8",
                    1046952,
                ),
                File(
                    "korsts_train/sts-dev.tsv",
                    KOR_NLU + "sts-dev.tsv",
                    "d835b65b424401fbcce6be28a78159df8d61f5b19977ea7a0b83b8cb6105f393",
                    307276,
                ),
            ),
            form="rows",
            drop=("genre", "filename", "year", "id"),
            text=("sentence1", "sentence2"),
        ),
        Entry(
            "klue-sts",
            _("519 pairs of Korean sentences, and how alike they are, 0 to 5: the development part"),
            "regress",
            ("label",),
            "CC BY-SA 4.0 (KLUE)",
            "https://github.com/KLUE-benchmark/KLUE",
            (
                File(
                    "klue_sts_ner/klue-sts-v1.1_dev.json",
                    KLUE + "klue-sts-v1.1/klue-sts-v1.1_dev.json",
                    "b6a0ae0c370e21687f7eef0fdea872a328bb2ecbdb020c546cb870d28606bf80",
                    454638,
                ),
            ),
            form="rows",
            text=("sentence1", "sentence2"),
        ),
        Entry(
            "klue-ner",
            _("5,000 Korean sentences with persons, places, dates and more: the development part"),
            "tag",
            (),
            "CC BY-SA 4.0 (KLUE)",
            "https://github.com/KLUE-benchmark/KLUE",
            (
                File(
                    "klue_sts_ner/klue-ner-v1.1_dev.tsv",
                    KLUE + "klue-ner-v1.1/klue-ner-v1.1_dev.tsv",
                    "0f4d5e818f7b82d299c3a87856fc40a706f5943207580ddb252397e387050a54",
                    2635045,
                ),
            ),
            form="tags",
        ),
    ]
