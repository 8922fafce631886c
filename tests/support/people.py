"""Names, places and telephone numbers of eleven countries: what `support.contacts` draws from.

Telephone numbers are written as patterns: `X` is any digit, and every number that a pattern stands for
belongs to an assigned range, so that a numbering plan's check accepts it. The last four digits are
drawn apart from the others, and a line may be spelled in several ways that mean the same number. They
are spelled for an account whose default country is `DEFAULT_COUNTRY`: only its own numbers may stand
without a country code.
"""
# ruff: noqa: RUF001 - letters that look alike are what names of several countries consist of.

from dataclasses import dataclass

DEFAULT_COUNTRY = "GB"


@dataclass(frozen=True)
class Line:
    """A range of numbers: its normal form (E.164) and the ways people write it, all with the same X."""

    normal: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class Country:
    """People of one country. `weight` is their share of a list, relative to the other countries."""

    code: str
    weight: int
    given: str
    family: str
    cities: str
    mobile: tuple[Line, ...]
    home: tuple[Line, ...]
    family_first: bool = False
    #: "iso" (1985-03-31) or "dotted" (31.03.1985).
    dates: str = "iso"


COUNTRIES = (
    Country(
        "GB",
        22,
        "Olivia Amelia George Harry Isla Ava Noah Jack Siân Rhys Niamh Seán Priya Imran Zoë Eleanor",
        "Smith Jones Taylor O'Neill MacDonald Evans Patel Khan Wright Fitzgerald Okafor Hughes St.-Clair",
        "London|Leeds|Manchester|Glasgow|Cardiff|Belfast|Bristol|Newcastle upon Tyne",
        (
            Line(
                "+44740XXXXXXX",
                (
                    "+44740XXXXXXX",
                    "0740X XXXXXX",
                    "+44 740X XXXXXX",
                    "0044 740X XXXXXX",
                    "+44 (0)740X XXX XXX",
                    "0740X-XXX-XXX",
                ),
            ),
        ),
        (
            Line(
                "+44207946XXXX",
                ("020 7946 XXXX", "(020) 7946 XXXX", "+44 (0)20 7946 XXXX", "00442 07946 XXXX"),
            ),
            Line(
                "+44161496XXXX", ("0161 496 XXXX", "+44 161 496 XXXX", "0044 161-496-XXXX", "0161/496 XXXX")
            ),
        ),
    ),
    Country(
        "US",
        20,
        "James Mary Robert Patricia Michael Linda José Aaliyah Ethan Sophia DeShawn Mei Tyler Hannah",
        "Johnson Williams Brown García Miller Davis Nguyen Lopez Washington Lee Kowalski O'Brien Smith-Jones",
        "New York|San Francisco|Chicago|Seattle|Boston|Saint Paul|Winston-Salem|Coeur d'Alene",
        (
            Line(
                "+19173XXXXXX",
                ("+1 917 3XX XXXX", "+1 (917) 3XX-XXXX", "001-917-3XX-XXXX", "+1.917.3XX.XXXX"),
            ),
        ),
        (
            Line("+12127XXXXXX", ("+1 212 7XX XXXX", "+1 (212) 7XX-XXXX", "001 212 7XX XXXX")),
            Line("+14153XXXXXX", ("+1-415-3XX-XXXX", "+1 (415) 3XX-XXXX", "+14153XXXXXX")),
        ),
    ),
    Country(
        "DE",
        14,
        "Jürgen Käthe Björn Anja Günther Sören Lieselotte Max Ayşe Hans-Peter Ulrike Jörg Änne",
        "Müller Schmidt Weiß Schröder Köhler Jäger Böhm Größ Yılmaz Krüger Vogel Löwe Meyer-Lübke",
        "Berlin|München|Köln|Düsseldorf|Nürnberg|Lübeck|Görlitz|Frankfurt (Oder)",
        (
            Line(
                "+491511XXXXXXX",
                ("+49 1511 XXX XXXX", "0049 1511 XXXXXXX", "+49 (0)1511 XXX XX XX", "+49-1511-XXXXXXX"),
            ),
        ),
        (
            Line(
                "+49302XXXXXXX",
                ("+49 30 2XXX XXXX", "+49 (0)30 2XXXXXXX", "0049 30/2XXX-XXXX", "+49 (0) 30 2XXX XXXX"),
            ),
        ),
        dates="dotted",
    ),
    Country(
        "FR",
        9,
        "François Zoé Chloé Jérôme Léa Gaëlle Noël Inès Benoît Hélène Maël Aurélie",
        "Lefèvre Dubois Moreau Gauthier D’Amboise Bélanger Château Géraud Le_Goff N’Diaye Fauré Hébert",
        "Paris|Lyon|Besançon|Orléans|Saint-Étienne|Nîmes|Aix-en-Provence|L’Haÿ-les-Roses",
        (
            Line(
                "+3361XXXXXXX",
                ("+33 6 1X XX XX XX", "0033 6 1X XX XX XX", "+33 (0)6 1X XX XX XX", "+33.61X.XXX.XXX"),
            ),
        ),
        (Line("+3314XXXXXXX", ("+33 1 4X XX XX XX", "0033 14XXXXXXX", "+33 (0)1 4X XX XX XX")),),
    ),
    Country(
        "ES",
        8,
        "José María Ángel Begoña Íñigo Lucía Iván Sofía Martín Inés Andrés Noa",
        "García_Muñoz Núñez_Peña López_de_Haro Ibáñez_Ruiz Pérez_Gil Martínez_Soto Ordóñez_Vidal Etxeberria",
        "Madrid|A Coruña|Málaga|Logroño|Cádiz|San Sebastián|Alcalá de Henares",
        (Line("+3461XXXXXXX", ("+34 61X XXX XXX", "0034 61X XX XX XX", "+34-61X-XXX-XXX")),),
        (Line("+34912XXXXXX", ("+34 91 2XX XX XX", "0034 912 XXX XXX", "+34 (91) 2XX XXXX")),),
    ),
    Country(
        "IT",
        7,
        "Niccolò Giulia Matteo Chiara Andrea Noè Zoe Beatrice Raffaele Lucia",
        "Rossi Esposito D'Angelo De_Luca Nicolò Cantù Lo_Presti Dell'Orto Fabbri Zanè",
        "Roma|Forlì|Cantù|L'Aquila|Reggio nell'Emilia|Milano",
        (Line("+39340XXXXXXX", ("+39 340 XXX XXXX", "0039 340 XXXXXXX", "+39 340-XXX XX XX")),),
        (Line("+390669XXXXXX", ("+39 06 69XX XXXX", "0039 06 69XXXXXX", "+39 (06) 69XX-XXXX")),),
    ),
    Country(
        "PL",
        6,
        "Łukasz Małgorzata Zbigniew Agnieszka Paweł Grażyna Stanisław Żaneta Michał Bożena",
        "Kowalczyk Wiśniewski Wójcik Kamińska Zieliński Szymański Woźniak Dąbrowska Świątek Żuk",
        "Warszawa|Kraków|Łódź|Gdańsk|Wrocław|Częstochowa",
        (Line("+4850XXXXXXX", ("+48 50X XXX XXX", "0048 50X XXX XXX", "+48-50X-XXX-XXX")),),
        (Line("+48226XXXXXX", ("+48 22 6XX XX XX", "0048 22 6XXXXXX", "+48 (22) 6XX-XX-XX")),),
        dates="dotted",
    ),
    Country(
        "UA",
        6,
        "Олена Андрій Наталія Тарас Ірина Богдан Мар'яна Юрій Ганна Євген",
        "Шевченко Коваленко Бойко Ткачук Мельник Поліщук Лук'яненко Гнатюк Їжакевич Ґудзь",
        "Київ|Львів|Одеса|Харків|Кам'янець-Подільський|Чернівці",
        (Line("+38067XXXXXXX", ("+380 67 XXX XX XX", "0038067XXXXXXX", "+38 (067) XXX-XX-XX")),),
        (Line("+380442XXXXXX", ("+380 44 2XX XX XX", "00380 44 2XX-XX-XX", "+38 (044) 2XX-XX-XX")),),
        dates="dotted",
    ),
    Country(
        "SE",
        4,
        "Åsa Björn Märta Göran Örjan Elin Östen Maja Håkan Lisbeth",
        "Sjöberg Åkesson Lindström Öberg Nyström Ångström Björk af_Klint Svensson Hägg",
        "Stockholm|Göteborg|Malmö|Örebro|Växjö|Umeå",
        (Line("+4670XXXXXXX", ("+46 70 XXX XX XX", "0046 70-XXX XX XX", "+46 (0)70-XXX XX XX")),),
        (Line("+4684XXXXXXX", ("+46 8 4XX XXX XX", "0046 8-4XX XXX XX", "+46 (0)8 4XX XXX XX")),),
    ),
    Country(
        "TR",
        2,
        "Gülşen Çağlar Şebnem Oğuz İrem Işık Ümit Zeynep Özgür Nazlı",
        "Yıldız Öztürk Şahin Çelik Güneş Aydın Doğan İnce Kılıç Ünal",
        "İstanbul|Ankara|Eskişehir|Muğla|Çanakkale|Iğdır",
        (Line("+90532XXXXXXX", ("+90 532 XXX XX XX", "0090 532 XXX XX XX", "+90 (532) XXX XXXX")),),
        (Line("+902122XXXXXX", ("+90 212 2XX XX XX", "0090 212 2XX XX XX", "+90 (212) 2XX XXXX")),),
    ),
    Country(
        "JP",
        2,
        "太郎 花子 さくら 健一 美咲 翔 陽菜 直樹 恵 大輔",
        "佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村 小林 斎藤",
        "東京|大阪|札幌|福岡|名古屋|京都",
        (Line("+81901XXXXXXX", ("+81 90-1XXX-XXXX", "0081 90 1XXX XXXX", "+81 90 1XXX XXXX")),),
        (Line("+8133XXXXXXX", ("+81 3-3XXX-XXXX", "0081 3 3XXX XXXX", "+81 (3) 3XXX XXXX")),),
        family_first=True,
    ),
)

COMPANIES = (
    "Northwind Traders",
    "Müller & Söhne GmbH",
    "Société Générale d’Électricité",
    "Smith, Jones & Partners",
    'Gasthaus "Zum Löwen"',
    "Żubrówka Sp. z o.o.",
    "Ñandú Exportaciones, S.A.",
    "株式会社さくら",
    "ТОВ «Світанок»",
    "Åhléns Bygg AB",
    "D'Angelo & Figli s.r.l.",
    "Yıldız Ticaret A.Ş.",
    "Acme Corporation",
    "Rhys Evans Cyf",
    "Brown; Miller LLP",
    "Atelier Besançon\nService clients",
    "Baker Street Books, Ltd.",
    "",
    "Lübecker Hafenlogistik",
    "Warenhaus “Kö”, Abt. 7",
    'He said "call me",\r\nthen left',
    "Fabbri & C.",
    "Stark Industries",
)

MAIL_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "Example.ORG",
    "mail.example.de",
    "example.es",
    "example.co.uk",
    "example.pl",
)
