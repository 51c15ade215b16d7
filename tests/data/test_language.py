"""The first article of the Universal Declaration of Human Rights, in the translations of the United Nations."""

import pytest

from embertune.data.language import LANGUAGES, detect_language

ARTICLE = {
    "en": (
        "All human beings are born free and equal in dignity and rights. They are endowed "
        "with reason and conscience and should act towards one another in a spirit of "
        "brotherhood."
    ),
    "de": (
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit "
        "Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit "
        "begegnen."
    ),
    "fr": (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils "
        "sont doués de raison et de conscience et doivent agir les uns envers les autres "
        "dans un esprit de fraternité."
    ),
    "es": (
        "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados "
        "como están de razón y conciencia, deben comportarse fraternalmente los unos con "
        "los otros."
    ),
    "it": (
        "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono "
        "dotati di ragione e di coscienza e devono agire gli uni verso gli altri in "
        "spirito di fratellanza."
    ),
    "pt": (
        "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. "
        "Dotados de razão e de consciência, devem agir uns para com os outros em espírito "
        "de fraternidade."
    ),
    "nl": (
        "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn "
        "begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest "
        "van broederschap te gedragen."
    ),
    "sv": (
        "Alla människor är födda fria och lika i värde och rättigheter. De har utrustats "
        "med förnuft och samvete och bör handla gentemot varandra i en anda av gemenskap."
    ),
    "da": (
        "Alle mennesker er født frie og lige i værdighed og rettigheder. De er udstyret "
        "med fornuft og samvittighed, og de bør handle mod hverandre i en broderskabets "
        "ånd."
    ),
    "no": (
        "Alle mennesker er født frie og med samme menneskeverd og menneskerettigheter. De "
        "er utstyrt med fornuft og samvittighet og bør handle mot hverandre i brorskapets "
        "ånd."
    ),
    "fi": (
        "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. "
        "Heille on annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan "
        "veljeyden hengessä."
    ),
    "pl": (
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. "
        "Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu "
        "braterstwa."
    ),
    "cs": (
        "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni "
        "rozumem a svědomím a mají spolu jednat v duchu bratrství."
    ),
    "hu": (
        "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az "
        "emberek, ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben "
        "kell hogy viseltessenek."
    ),
    "tr": (
        "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana "
        "sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler."
    ),
    "ro": (
        "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele "
        "sunt înzestrate cu rațiune și conștiință și trebuie să se comporte unele față de "
        "altele în spiritul fraternității."
    ),
    "id": (
        "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. "
        "Mereka dikaruniai akal dan hati nurani dan hendaknya bergaul satu sama lain "
        "dalam semangat persaudaraan."
    ),
    "vi": (
        "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi "
        "con người đều được tạo hóa ban cho lý trí và lương tâm và cần phải đối xử với "
        "nhau trong tình bằng hữu."
    ),
    "ru": (
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они "
        "наделены разумом и совестью и должны поступать в отношении друг друга в духе "
        "братства."
    ),
    "uk": (
        "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони "
        "наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі "
        "братерства."
    ),
    "bg": (
        "Всички хора се раждат свободни и равни по достойнство и права. Те са надарени с "
        "разум и съвест и следва да се отнасят помежду си в дух на братство."
    ),
    "sr": (
        "Сва људска бића рађају се слободна и једнака у достојанству и правима. Она су "
        "обдарена разумом и свешћу и треба једни према другима да поступају у духу "
        "братства."
    ),
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "ar": (
        "يولد جميع الناس أحرارا متساوين في الكرامة "
        "والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن "
        "يعامل بعضهم بعضا بروح الإخاء."
    ),
    "fa": (
        "تمام افراد بشر آزاد به دنیا می آیند و از لحاظ حیثیت و حقوق با هم برابرند. همه "
        "دارای عقل و وجدان هستند و باید نسبت به یکدیگر با روح برادری رفتار کنند."
    ),
    "hi": (
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में "
        "जन्मजात स्वतन्त्रता और समानता प्राप्त है। "
        "उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है "
        "और परस्पर उन्हें भाईचारे के भाव से बर्ताव "
        "करना चाहिए।"
    ),
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
}

# Too near to their neighbours for a sentence to be sure.
UNSURE = {"da", "no", "bg"}


@pytest.mark.parametrize("code", ARTICLE)
def test_a_sentence_is_in_its_language_or_in_none_for_sure(code):
    assert detect_language(ARTICLE[code]) == ("" if code in UNSURE else code)
    assert code in LANGUAGES


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("how do I split a list", "en"),
        ("Wie lange dauert der Versand nach Italien?", "de"),
        ("Quelle est la capitale de la Suisse ?", "fr"),
        ("¿Cuál es la capital de Suiza?", "es"),
        ("Windows 10 专业版怎么激活", "zh"),
        ("iPhoneの使い方", "ja"),
        ("numpy argsort axis", ""),
        ("IL-1β in neutrophils", ""),
        ("2021", ""),
        ("", ""),
    ],
)
def test_short_questions(text, code):
    assert detect_language(text) == code
