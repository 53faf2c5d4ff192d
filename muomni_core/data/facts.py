"""Simple facts of the instruction mix: opposites, colours, animals' sounds, what common things are, capitals."""

from __future__ import annotations

from muomni_core.data.smalltalk import parse_pairs


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """ "a: b, c: d" -> ((a, b), (c, d))."""
    items = (item.split(":") for item in text.replace("\n", " ").split(",") if item.strip())
    return tuple((a.strip(), b.strip()) for a, b in items)


DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

OPPOSITES = _pairs("""
    hot: cold, big: small, tall: short, fast: slow, old: young, new: old, good: bad, happy: sad, light: dark,
    day: night,
    up: down, left: right, in: out, on: off, open: closed, full: empty, wet: dry, hard: soft, heavy: light,
    rich: poor,
    strong: weak, loud: quiet, early: late, near: far, high: low, long: short, wide: narrow, thick: thin,
    clean: dirty,
    easy: difficult, right: wrong, true: false, first: last, begin: end, start: stop, come: go, give: take,
    buy: sell,
    love: hate, laugh: cry, push: pull, win: lose, remember: forget, ask: answer, above: below, inside: outside,
    before: after, always: never, all: none, many: few, more: less, most: least, beautiful: ugly,
    brave: afraid, safe: dangerous,
    cheap: expensive, sweet: sour, sharp: blunt, smooth: rough, straight: crooked, deep: shallow,
    alive: dead, asleep: awake,
    sick: healthy, friend: enemy, boy: girl, man: woman, brother: sister, king: queen, north: south, east: west,
    summer: winter, black: white, front: back, top: bottom, yes: no, war: peace, noisy: quiet, kind: cruel,
    polite: rude,
    lazy: busy, question: answer, arrive: leave, find: lose, rise: fall, same: different,
    simple: complicated, warm: cool
    """)

COLOURS_OF = _pairs("""
    the sky: blue, grass: green, snow: white, blood: red, the sun: yellow, a banana: yellow, a lemon: yellow,
    milk: white,
    coal: black, a leaf: green, a tomato: red, a carrot: orange, an orange: orange, a strawberry: red,
    the sea: blue,
    a crow: black, a polar bear: white, a frog: green, a pig: pink, an elephant: grey, chocolate: brown,
    a cucumber: green,
    a fire engine: red, a cherry: red, an egg yolk: yellow, the night sky: black, a plum: purple, a pea: green,
    a cloud: white, a sunflower: yellow, broccoli: green, a swan: white, a flamingo: pink,
    coffee: brown,
    sand: yellow, an aubergine: purple, a lime: green, ketchup: red, salt: white, sugar: white,
    a pumpkin: orange,
    a raven: black, wood: brown, a canary: yellow, rice: white, a lobster: red, a dandelion: yellow,
    gold: yellow,
    spinach: green, a mouse: grey, paper: white, a zebra: black and white, a panda: black and white,
    a penguin: black and white,
    a ladybug: red and black, a bee: yellow and black, a stop sign: red
    """)

SOUNDS = _pairs("""
    cat: meow, dog: woof, cow: moo, sheep: baa, pig: oink, duck: quack, horse: neigh,
    rooster: cock-a-doodle-doo, hen: cluck,
    lion: roar, mouse: squeak, bird: tweet, bee: buzz, snake: hiss, frog: croak, owl: hoot, crow: caw,
    donkey: hee-haw,
    goat: maa, wolf: howl, turkey: gobble, goose: honk, monkey: ooh ooh, chick: cheep, pigeon: coo,
    bear: growl, fly: buzz,
    tiger: roar, cricket: chirp
    """)
YOUNG = _pairs("""
    dog: puppy, cat: kitten, cow: calf, horse: foal, sheep: lamb, pig: piglet, hen: chick, duck: duckling,
    bear: cub,
    lion: cub, goat: kid, frog: tadpole, goose: gosling, swan: cygnet, deer: fawn, kangaroo: joey,
    butterfly: caterpillar,
    owl: owlet, elephant: calf, rabbit: kit
    """)
LEGS = _pairs("""
    dog: four, cat: four, bird: two, spider: eight, ant: six, horse: four, cow: four, snake: no, fish: no,
    bee: six,
    chicken: two, elephant: four, sheep: four, fly: six, person: two, octopus: no, pig: four, lion: four,
    duck: two, frog: four,
    beetle: six, mouse: four, penguin: two, worm: no, butterfly: six
    """)
CAPITALS = _pairs("""
    France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, England: London, Ireland: Dublin,
    Portugal: Lisbon, Greece: Athens,
    Austria: Vienna, Poland: Warsaw, Russia: Moscow, China: Beijing, Japan: Tokyo, India: New Delhi,
    Egypt: Cairo, Canada: Ottawa,
    Australia: Canberra, Norway: Oslo, Sweden: Stockholm, Finland: Helsinki, Denmark: Copenhagen,
    Hungary: Budapest, Turkey: Ankara,
    the United States: Washington, Scotland: Edinburgh, Belgium: Brussels, Cuba: Havana, Kenya: Nairobi,
    Thailand: Bangkok, Peru: Lima
    """)
# What a thing is, and what it is for.
WHAT_IS = _pairs("""
    cat: a small furry animal that people keep as a pet, dog: an animal that people keep as a friend and guard,
    cow: a farm animal that gives milk, horse: a big animal that people ride,
    bird: an animal with wings and feathers,
    fish: an animal that lives in water, tree: a tall plant with a trunk and leaves,
    flower: the colourful part of a plant,
    house: a building that people live in, car: a machine with four wheels that people drive,
    bicycle: a machine with two wheels,
    boat: something that carries people on water, airplane: a machine that flies,
    train: a row of wagons that runs on rails,
    book: many pages with words or pictures, chair: a seat for one person, table: a flat top on legs,
    bed: a place to sleep,
    door: the way into a room, window: an opening with glass that lets in light,
    clock: a machine that shows the time,
    computer: a machine that works with information, telephone: a machine to talk with people far away,
    pen: a thing to write with,
    umbrella: a thing that keeps off the rain, hammer: a tool for hitting nails, knife: a tool for cutting,
    key: a thing that opens a lock,
    school: a place where children learn, hospital: a place where sick people get help,
    shop: a place where people buy things,
    library: a place where people borrow books, farm: a place where food is grown,
    garden: a place where plants are grown,
    forest: a place with many trees, desert: a dry place with much sand, mountain: very high land,
    river: water that flows to the sea,
    island: land with water all around it, beach: the sandy edge of the sea, city: a very big town,
    apple: a round fruit that grows on trees,
    banana: a long yellow fruit, bread: food baked from flour and water,
    milk: a white drink that comes from cows,
    pizza: a flat round bread with cheese and tomato, cake: a sweet food that is baked,
    doctor: a person who helps sick people,
    teacher: a person who helps others to learn, farmer: a person who grows food,
    pilot: a person who flies an airplane,
    baker: a person who bakes bread, rain: water that falls from clouds,
    snow: frozen water that falls from clouds,
    ice: frozen water, cloud: many tiny drops of water in the sky, star: a far away sun,
    circle: a perfectly round shape,
    square: a shape with four equal sides, triangle: a shape with three sides,
    piano: a musical instrument with black and white keys,
    guitar: a musical instrument with strings, butterfly: an insect with big colourful wings,
    whale: the biggest animal of the sea,
    giraffe: an animal with a very long neck, elephant: a very big animal with a trunk,
    penguin: a bird that swims and cannot fly
    """)
NO_ARTICLE_FACT = {"bread", "milk", "rain", "snow", "ice"}

FACTS = parse_pairs("""
= There are seven days in a week.
How many days are there in a week? | How many days are in a week? | How many days does a week have?
= There are twelve months in a year.
How many months are there in a year? | How many months are in a year? | How many months does a year have?
= There are twenty-four hours in a day.
How many hours are there in a day? | How many hours are in a day? | How many hours does a day have?
= There are sixty minutes in an hour.
How many minutes are there in an hour? | How many minutes are in an hour? | How many minutes does an hour have?
= There are sixty seconds in a minute.
How many seconds are there in a minute? | How many seconds are in a minute? | How many seconds does a minute have?
= A year has three hundred and sixty-five days.
How many days are there in a year? | How many days are in a year? | How many days does a year have?
How long is a year?
= Spring, summer, autumn and winter.
What are the four seasons? | Name the seasons. | What are the seasons of the year? | Which seasons are there?
= Winter is the coldest season.
What is the coldest season? | Which season is the coldest? | In which season does it snow?
= Summer is the warmest season.
What is the warmest season? | Which season is the hottest? | What is the hottest season?
Which season is the warmest?
= The sun rises in the east.
Where does the sun rise? | In which direction does the sun rise? | Does the sun rise in the east or in the west?
= The sun sets in the west.
Where does the sun set? | In which direction does the sun set? | Where does the sun go down?
= The sun is a star.
What is the sun? | Is the sun a star? | Is the sun a star or a planet? | What kind of thing is the sun?
= The moon goes around the earth.
What is the moon? | What does the moon do? | What goes around the earth? | What moves around the earth?
= We live on the planet Earth.
Which planet do we live on? | What planet do we live on? | What is the name of our planet?
On which planet do people live?
= Jupiter is the biggest planet.
What is the biggest planet? | Which planet is the biggest? | What is the largest planet?
= Water freezes at zero degrees Celsius.
When does water freeze? | At what temperature does water freeze? | What is the freezing point of water?
= Water boils at one hundred degrees Celsius.
When does water boil? | At what temperature does water boil? | What is the boiling point of water?
How hot is boiling water?
= Frozen water is called ice.
What is frozen water called? | What do you call frozen water? | What does water become when it freezes?
= The blue whale is the biggest animal.
What is the biggest animal? | Which animal is the biggest? | What is the largest animal?
What is the largest animal in the world?
= The cheetah is the fastest animal on land.
What is the fastest animal? | Which animal is the fastest? | What is the fastest land animal?
= The giraffe is the tallest animal.
What is the tallest animal? | Which animal is the tallest? | Which animal has a long neck?
What animal has a very long neck?
= The elephant has a trunk.
Which animal has a trunk? | What animal has a trunk? | Who has a trunk?
= The lion is called the king of the animals.
Who is the king of the animals? | Which animal is the king of the jungle? | Who is the king of the jungle?
= Bees make honey.
Who makes honey? | What makes honey? | Which insects make honey? | What do bees make? | Which animal makes honey?
= Cows give us milk.
Where does milk come from? | Which animal gives us milk? | What do cows give us? | What animal gives milk?
= Hens lay eggs.
Where do eggs come from? | Which animal lays eggs? | Who lays eggs? | What do hens lay?
= Wool comes from sheep.
Where does wool come from? | Which animal gives us wool? | What do sheep give us?
= Fish live in water.
Where do fish live? | What animals live in water? | Which animals live in the sea?
= Birds can fly.
Which animals can fly? | What animals can fly? | What can birds do? | Can birds fly?
= No, penguins swim, but they cannot fly.
Can penguins fly? | Can a penguin fly? | Do penguins fly?
= Yes, fish can swim.
Can fish swim? | Can a fish swim? | Do fish swim?
= Yes, most dogs can swim.
Can dogs swim? | Can a dog swim? | Do dogs swim?
= No, dogs cannot fly.
Can dogs fly? | Can a dog fly? | Do dogs have wings?
= Cats eat meat and fish.
What do cats eat? | What does a cat eat? | What do cats like to eat?
= Dogs eat meat and dog food.
What do dogs eat? | What does a dog eat? | What do dogs like to eat?
= Cows eat grass.
What do cows eat? | What does a cow eat? | Who eats grass?
= Rabbits like carrots and grass.
What do rabbits eat? | What does a rabbit eat? | What do rabbits like?
= Pandas eat bamboo.
What do pandas eat? | What does a panda eat? | Who eats bamboo?
= Monkeys like bananas.
What do monkeys eat? | What does a monkey like to eat? | Who likes bananas?
= A spider has eight legs.
How many legs do spiders have? | Is a spider an insect?
= We see with our eyes.
What do we see with? | What do people see with? | What are eyes for? | What do eyes do?
= We hear with our ears.
What do we hear with? | What do people hear with? | What are ears for? | What do ears do?
= We smell with our nose.
What do we smell with? | What is a nose for? | What does a nose do?
= A hand has five fingers.
How many fingers are on a hand? | How many fingers does a hand have? | How many fingers do you have on one hand?
= People have ten fingers.
How many fingers do people have? | How many fingers does a person have?
= People have two eyes.
How many eyes do people have? | How many eyes does a person have?
= A triangle has three sides.
How many sides does a triangle have? | How many corners does a triangle have? | Which shape has three sides?
= A square has four sides.
How many sides does a square have? | How many corners does a square have? | Which shape has four equal sides?
= A circle is round.
What shape is a ball? | What shape is a wheel? | Which shape is round? | What shape is round?
= There are twenty-six letters.
How many letters are in the alphabet? | How many letters does the alphabet have?
How many letters are there in English?
= A, E, I, O and U.
What are the vowels? | Name the vowels. | Which letters are vowels?
= A, B, C, D, E, F, G.
Say the alphabet. | How does the alphabet begin? | What are the first letters of the alphabet?
= Red and yellow make orange.
What do red and yellow make? | How do you make orange? | What colour do you get from red and yellow?
= Blue and yellow make green.
What do blue and yellow make? | How do you make green? | What colour do you get from blue and yellow?
= Red and blue make purple.
What do red and blue make? | How do you make purple? | What colour do you get from red and blue?
= Red, orange, yellow, green, blue and purple.
What are the colours of the rainbow? | Name the colours of the rainbow. | What colors does a rainbow have?
Name some colours.
= Red means stop.
What does a red light mean? | What does red mean at a traffic light? | What do you do at a red light?
= Green means go.
What does a green light mean? | What does green mean at a traffic light? | What do you do at a green light?
= Apples, bananas and oranges are fruit.
Name some fruit. | Name three fruits. | What fruits do you know? | Tell me some fruits.
= Carrots, onions and potatoes are vegetables.
Name some vegetables. | Name three vegetables. | What vegetables do you know?
= Dogs, cats and horses are animals.
Name some animals. | Name three animals. | What animals do you know? | Tell me some animals.
= Bread is made of flour and water.
What is bread made of? | How is bread made? | What do you need to make bread?
= Put tea in hot water and wait a few minutes.
How do I make tea? | How do you make tea? | How can I make a cup of tea?
= Put the egg in boiling water for eight minutes.
How do I boil an egg? | How do you boil an egg? | How long do you boil an egg?
= Wash them with soap and warm water.
How do I wash my hands? | How should I clean my hands? | How do you wash your hands?
= Look left and right, and go when the road is free.
How do I cross the street? | How do you cross a road? | How can I cross the road safely?
= Plants need water, light and air.
What do plants need? | What does a plant need to grow? | What do flowers need?
= We need water to live.
Why do we drink water? | Why do we need water? | Why is water important?
= We sleep so that body and mind can rest.
Why do we sleep? | Why do people sleep? | Why do we need sleep?
= It rains when drops in the clouds get heavy and fall.
Why does it rain? | Where does rain come from? | How does rain form?
= The air scatters blue light more than red light.
Why is the sky blue? | What makes the sky blue? | How come the sky is blue?
= The earth turns once a day.
Why is there day and night? | Why does the sun rise? | How long does the earth take to turn?
= Mount Everest is the highest mountain.
What is the highest mountain? | What is the tallest mountain in the world? | Which mountain is the highest?
= The Pacific is the biggest ocean.
What is the biggest ocean? | What is the largest ocean? | Which ocean is the largest?
= There are seven continents.
How many continents are there? | How many continents does the earth have?
= Shakespeare wrote Romeo and Juliet.
Who wrote Romeo and Juliet? | Who wrote Hamlet? | Who was Shakespeare?
= Mona Lisa was painted by Leonardo da Vinci.
Who painted the Mona Lisa? | Who was Leonardo da Vinci? | What did Leonardo da Vinci paint?
= Neil Armstrong was the first person on the moon.
Who was the first man on the moon? | Who was the first person on the moon? | Who walked on the moon first?
""")
