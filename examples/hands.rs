use thumb_gesture::{drawn_hand, gesture::Gesture};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (dir, seed, n) = (&a[1], a[2].parse().unwrap(), a[3].parse::<u64>().unwrap());
    for g in Gesture::ALL { let d = format!("{dir}/{}", g.label()); std::fs::create_dir_all(&d).unwrap();
        for i in 0..n { drawn_hand::draw(g, seed, i, 640, 480).save(format!("{d}/{i:04}.jpg")).unwrap(); } }
}
