"""Which names of classes and categories mean people, in many languages, and which certainly mean other things."""

import re
import unicodedata
from itertools import takewhile

_WORDS = {
    "English": """
        person people human humanoid individual somebody man men woman women boy girl child children kid baby babies
        infant toddler teenager teen adult elder senior male female guy lady ladies gentleman gentlemen youth
        pedestrian passerby passersby bystander runner jogger rider cyclist bicyclist biker motorcyclist
        motorbiker horseman driver passenger commuter player athlete sportsman sportsmen sportswoman sportswomen
        goalkeeper goalie referee umpire striker skier snowboarder skateboarder skater surfer swimmer
        diver climber gymnast dancer golfer worker workman workmen workwoman operator employee staff student
        pupil teacher patient nurse doctor customer shopper visitor spectator tourist soldier policeman policemen
        policewoman policewomen officer fireman firemen firefighter actor actress""",
    "German": """
        mensch menschen personen leute mann männer maenner frau frauen kind kinder junge jungen mädchen maedchen baby
        erwachsener erwachsene fußgänger fussgaenger fußgängerin passant passanten fahrer fahrerin radfahrer
        radfahrerin reiter reiterin spieler spielerin sportler sportlerin athletin athleten arbeiter arbeiterin""",
    "French": """
        personne gens homme femme enfant garçon fille bébé adulte humain humaine piéton piétonne cycliste motard
        cavalier cavalière joueur joueuse athlète sportif sportive conducteur passager ouvrier travailleur""",
    "Spanish": """
        persona gente hombre mujer niño niña chico chica muchacho muchacha bebé adulto adulta humano humana peatón
        peatones ciclista motociclista jinete jugador jugadora atleta deportista conductor pasajero trabajador""",
    "Italian": """
        persone gente uomo uomini donna donne bambino bambini bambina bambine ragazzo ragazzi ragazza ragazze neonato
        adulti umano umani pedone pedoni ciclisti giocatore giocatori giocatrice giocatrici atleti""",
    "Portuguese": """
        pessoa homem homens mulher criança menino menina rapaz bebê pedestre peão peões jogador jogadora
        trabalhador motorista passageiro""",
    "Dutch": """
        persoon personen mens mensen mannen vrouw vrouwen kinderen jongen meisje volwassene volwassenen voetganger
        fietser ruiter speler atleet atleten werker""",
    "Scandinavian and Finnish": """
        människa människor kvinna kvinnor pojke pojkar flicka flickor fotgängare spelare menneske mennesker mand mænd
        kvinde kvinder kvinne kvinner dreng pige gutt jente fodgænger fotgjenger spiller
        ihminen ihmiset henkilö henkilöt mies nainen lapsi lapset jalankulkija pelaaja""",
    "Polish": """
        osoba osoby ludzie człowiek mężczyzna mężczyźni kobieta kobiety dziecko dzieci chłopiec dziewczyna dziewczynka
        pieszy piesi rowerzysta gracz zawodnik zawodnicy""",
    "Czech, Slovak, Hungarian, Romanian, Turkish": """
        člověk lidé muž muži žena ženy dítě děti chodec chodci hráč hráči človek ľudia dieťa
        ember emberek személy férfi gyerek gyalogos játékos persoană persoane om oameni bărbat femeie copil copii
        kişi kişiler insan insanlar adam kadın erkek çocuk çocuklar yaya oyuncu""",
    "Russian and Ukrainian": """
        человек люди персона мужчина мужчины женщина женщины ребёнок дети мальчик девочка взрослый пешеход пешеходы
        велосипедист игрок игроки спортсмен людина особа чоловік жінка дитина пішохід гравець""",
    "Greek": "άνθρωπος άνθρωποι άτομο άνδρας γυναίκα παιδί πεζός παίκτης",
    "Chinese": """
        人 人类 人類 人物 人体 人體 人员 人員 行人 路人 男 女 男人 女人 男性 女性 男子 女子 男孩 女孩 孩子 小孩 儿童
        兒童 婴儿 嬰兒 成人 成年人 老人 大人 骑手 騎手 骑车人 騎車人 骑行者 司机 乘客 球员 球員 运动员 運動員
        选手 選手 工人""",
    "Japanese": """
        ひと ヒト 人間 歩行者 通行人 子供 子ども こども 少年 少女 男の子 女の子 赤ちゃん ライダー 運転手 プレイヤー
        プレーヤー アスリート 作業員""",
    "Korean": """
        사람 사람들 인간 인물 인체 보행자 남자 여자 남성 여성 소년 소녀 아이 아이들 어린이 아기 성인 어른 라이더 운전자
        선수 플레이어 작업자""",
    "Vietnamese, Indonesian, Thai, Hindi": """
        người orang manusia pria wanita lelaki perempuan anak pejalan pemain
        คน บุคคล มนุษย์ ผู้ชาย ผู้หญิง เด็ก व्यक्ति मानव इंसान लोग आदमी औरत बच्चा""",
    "Arabic, Persian, Hebrew": """
        شخص أشخاص إنسان ناس رجل امرأة طفل أطفال مشاة لاعب انسان فرد افراد مرد زن کودک
        אדם אנשים איש אישה ילד ילדה הולך""",
}  # fmt: skip
_ANYBODY = """
    person people human humanoid individual somebody pedestrian mensch menschen personen leute personne gens humain
    persona gente humano persone umano pessoa persoon personen mens mensen människa människor menneske mennesker ihminen
    henkilö osoba osoby ludzie człowiek člověk lidé človek ember személy persoană om oameni kişi insan человек люди
    персона людина особа άνθρωπος άνθρωποι άτομο 人 人类 人類 人物 人体 人體 人员 人員 行人 人間 ヒト 歩行者 사람 인간
    인물 보행자 người orang manusia คน บุคคล มนุษย์ व्यक्ति मानव इंसान شخص إنسان ناس انسان افراد אדם אנשים
"""
"""Those of the words that are said of anybody, of whatever sex, age or occupation."""
_THINGS = """
    animal mammal primate ape monkey macaque chimpanzee chimp gorilla orangutan baboon gibbon lemur marmoset uakari
    alouatta dog puppy cat kitten lion tiger leopard cheetah jaguar panther bobcat lynx puma wolf wolves fox coyote
    hyena bear panda raccoon badger otter weasel skunk beaver horse pony foal donkey mule zebra cow cattle bull calf ox
    oxen bison buffalo yak sheep lamb goat pig piglet boar deer moose elk reindeer antelope gazelle impala camel llama
    alpaca giraffe elephant rhino rhinoceros hippo hippopotamus kangaroo koala rabbit hare hamster mouse mice rat
    squirrel marmot mole hedgehog bat seal whale dolphin bird chicken hen duck goose geese turkey pigeon parrot owl
    eagle penguin ostrich fish shark insect fly bee ant spider lizard snake turtle tortoise frog crocodile dinosaur
    bicycle bike car motorcycle motorbike scooter airplane aeroplane bus train tram truck lorry boat ship van vehicle
    wheelchair stroller traffic_light fire_hydrant stop_sign parking_meter bench backpack umbrella handbag bag tie
    suitcase frisbee skis snowboard sports_ball ball kite baseball_bat baseball_glove glove skateboard surfboard
    tennis_racket racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot pizza
    donut cake chair couch sofa potted_plant pottedplant plant bed dining_table diningtable table toilet tv tvmonitor
    monitor laptop remote keyboard cell_phone phone microwave oven toaster sink refrigerator book clock vase scissors
    toothbrush hair_drier helmet head face hand foot feet
"""
"""Names that certainly are not people's: animals, COCO's and Pascal's things, parts of bodies, and some more."""
_OF_A_PERSON = frozenset(
    {"body", "pose", "skeleton", "figure", "keypoint", "landmark", "instance", "object", "class", "detection"}
)
"""What follows a person's name without changing what is meant: "human body", "person_keypoints"."""
_CLAUSE = "with without on in at by wearing riding holding doing mit ohne auf avec sans sur con sin com sem met"
"""What begins a description behind a person's name: "man on a horse"."""
_OTHERWISE = "no non not nicht kein anti dummy fake audio blueray bluray cd dvd media music record tape vcr video vinyl"
"""What makes another thing of a person's name: "no person", "DVD player"."""
_SEPARATORS = re.compile(r"[\s\d_.,:;/|+&#*'\"()\[\]{}<>\\-]+")
_LETTERS = str.maketrans({"ł": "l", "ı": "i", "đ": "d", "ø": "o", "æ": "ae"})


def _plain(text: str) -> str:
    """Folds case and accents: "Fußgänger" and "FUSSGANGER" are one."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in folded if unicodedata.category(letter) != "Mn")
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


_PEOPLE = frozenset(_plain(word) for words in _WORDS.values() for word in words.split())
_ANYBODYS = frozenset(map(_plain, _ANYBODY.split()))
_THING_NAMES = frozenset(_THINGS.split())


def is_person_name(name: str) -> bool:
    """Whether a class, or a category, of this name is about people.

    Case, accents, separators, numbers and plurals do not matter. Of several words the last one decides ("tennis
    player", but "pedestrian crossing" is none), or the one in front of a description ("person wearing a helmet").
    """
    words = _words(name)
    if not words or not {*words}.isdisjoint(_OTHERWISE.split()):
        return False
    return bool(_singulars(words[-1]) & _PEOPLE)


def may_be_the_same(one: str, other: str) -> bool:
    """Whether categories of these names may be about the same people: "person" and "human", "child" and "skeleton".

    Two that say who is meant ("man" and "child", "person" and "child") are not, unless they say the same; one that
    is no person's name, as "skeleton", says nothing about it.
    """
    words = [_singulars(_words(name)[-1]) for name in (one, other) if is_person_name(name)]
    return len(words) < 2 or bool(words[0] & words[1]) or all(word & _ANYBODYS for word in words)


def is_thing_name(name: str, supercategory: str = "") -> bool:
    """Whether a class, or a category, of this name is certainly about another thing than people: a dog, a car.

    A name that says nothing ("class_0") is neither a thing's nor a person's: then its supercategory may say it.

    Args:
        name: Read as in `is_person_name`: the last word decides ("polar bear", "dogs_keypoints").
        supercategory: COCO's field of that name; "" where there is none.
    """
    # Other words of a supercategory say nothing: some tools put the name of the whole project there.
    of_animals = any("animal" in _singulars(word) for word in _words(supercategory)[-1:])
    return not is_person_name(name) and (_is_thing(name) or of_animals)


def _is_thing(name: str) -> bool:
    words = _words(name)
    return bool(words) and bool((_singulars(words[-1]) | _singulars("_".join(words))) & _THING_NAMES)


def _words(name: str) -> list[str]:
    """The words that say what is meant, folded: without a description, or "keypoints", behind them."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in _SEPARATORS.split(_plain(parted)) if word]
    words = list(takewhile(lambda word: word not in _CLAUSE.split(), words))
    while len(words) > 1 and _singulars(words[-1]) & _OF_A_PERSON:
        words.pop()
    return words


def _singulars(word: str) -> set[str]:
    """The word, and what it may be the plural of."""
    return {word, word.removesuffix("s"), word.removesuffix("es")}
